import { transform } from 'esbuild'
import { defaultServerConditions } from 'vite'
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config'

type Project = TestProjectInlineConfiguration

/** Vitest's own transformer (oxc) leaves decorators as they are, and no engine runs them: esbuild lowers them. */
function lowerDecorators(experimentalDecorators: boolean): NonNullable<Project['plugins']>[number] {
  return {
    name: `lower-decorators-${experimentalDecorators ? 'legacy' : 'standard'}`,
    enforce: 'pre',
    async transform(source: string, id: string) {
      const [file = id] = id.split('?')
      if (!file.endsWith('.ts') || file.includes('/node_modules/')) return null
      return transform(source, {
        loader: 'ts',
        format: 'esm',
        target: 'es2022',
        sourcefile: file,
        sourcemap: true,
        tsconfigRaw: { compilerOptions: { experimentalDecorators, verbatimModuleSyntax: true } },
      })
    },
  }
}

interface ProjectOptions {
  name: string
  include: string[]
  exclude?: string[]
  legacyDecorators?: boolean
  /** Modules of `test/support` that start the real services these tests talk to. */
  services?: string[]
  timeoutMs?: number
  typecheck?: string
  /** Runs its files one after the other and apart from the other projects; vitest wants a number of its own for that. */
  alone?: number
}

function project({
  name,
  include,
  exclude = [],
  legacyDecorators = false,
  services = [],
  timeoutMs,
  typecheck,
  alone,
}: ProjectOptions): Project {
  return {
    plugins: [lowerDecorators(legacyDecorators)],
    ssr: { resolve: { conditions: ['@countersign/source', ...defaultServerConditions] } },
    oxc: false,
    test: {
      name,
      include: typecheck ? [] : include,
      exclude: ['**/node_modules/**', '**/dist/**', ...exclude],
      testTimeout: timeoutMs ?? 10_000,
      hookTimeout: timeoutMs ?? 30_000,
      globalSetup: services.map(service => `test/support/${service}.setup.ts`),
      ...(alone !== undefined && { fileParallelism: false, sequence: { groupOrder: alone } }),
      ...(typecheck && { typecheck: { enabled: true, only: true, include, tsconfig: typecheck } }),
    },
  }
}

const withServices = 'packages/*/test/integration/**/*.test.ts'
const decorators = '{packages/*/test,test/programs}/**/*.decorator.test.ts'

export default defineConfig({
  test: {
    projects: [
      project({
        name: 'unit',
        include: ['packages/*/test/**/*.test.ts', 'examples/*/test/**/*.test.ts', 'test/programs/*.test.ts'],
        exclude: [withServices],
      }),
      project({ name: 'legacy-decorators', include: [decorators], legacyDecorators: true }),
      project({
        name: 'types',
        include: ['packages/*/test/**/*.test-d.ts', 'test/types/**/*.test-d.ts'],
        typecheck: 'test/types/tsconfig.json',
      }),
      project({
        name: 'legacy-types',
        include: ['packages/*/test/**/*.decorator.test-d.ts'],
        typecheck: 'test/types/tsconfig.legacy.json',
      }),
      project({
        name: 'integration',
        include: [withServices, 'test/integration/**/*.test.ts', 'test/programs/integration/**/*.test.ts'],
        services: ['postgres', 'memcached', 'rabbitmq'],
        timeoutMs: 30_000,
      }),
      project({ name: 'repository', include: ['test/repository/**/*.test.ts'], timeoutMs: 120_000 }),
      project({
        name: 'end-to-end',
        include: ['test/end-to-end/**/*.test.ts'],
        services: ['postgres', 'memcached', 'rabbitmq'],
        timeoutMs: 120_000,
        alone: 1,
      }),
    ],
  },
})
