// `pnpm dev`: runs the sources, those of the packages too; Node starts it again when one of them changes.
import { checkSettings, serveLocally } from './local.ts'
import { serve } from './src/serve.ts'

checkSettings()
await serveLocally(serve)
