import { sharedService } from './shared-services.ts'

export default sharedService('postgres')
