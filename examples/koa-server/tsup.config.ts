import { defineConfig } from 'tsup'

export default defineConfig({
  entry: ['src/main.ts', 'src/serve.ts', 'src/worker.ts'],
  format: 'esm',
  target: 'es2022',
  sourcemap: true,
  clean: true,
  silent: true,
})
