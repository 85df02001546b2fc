import { packageBuild } from '../../tsup.base.ts'

export default packageBuild(import.meta.dirname)
