import { postgresChanges } from '../../src/postgres/index.ts'

// Opens a feed that works, one that is refused and one that is never answered; closes all and must then end by itself.
const [, , working = '', frozen = ''] = process.argv
const listener = { onChange: () => undefined, onGap: () => undefined, onState: () => undefined }
const feeds = await Promise.all([
  postgresChanges({ connectionString: working }).subscribe(listener),
  postgresChanges({ connectionString: 'postgres://127.0.0.1:1/none' }).subscribe(listener),
  postgresChanges({ connectionString: frozen, connection: { connectionTimeoutMillis: 100 } }).subscribe(listener),
])
const started = performance.now()
await Promise.all(feeds.map(feed => feed.close()))
process.stdout.write(JSON.stringify({ closedAfterMs: performance.now() - started }))
