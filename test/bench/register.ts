// pnpm bench test/bench/register.ts
// Requests per second of the register's guarded read and audited write against a bare Koa route, in one run, each
// server a process of its own, straight over HTTP without nginx.
import autocannon from 'autocannon'
import { spawnTied, stopChild } from 'koa-server/child-process'
import { once } from 'node:events'
import { join } from 'node:path'
import { installServers } from '../support/debian.ts'
import { startMemcached } from '../support/memcached.ts'
import { startPostgres } from '../support/postgres.ts'
import { startRabbitMq } from '../support/rabbitmq.ts'
import { clientOf, people, startRegister } from '../support/register.ts'
import { freePort } from '../support/service.ts'

const seconds = Number(process.env.BENCH_SECONDS ?? 8)
const connections = 16

installServers()
const [postgres, memcached, rabbitmq] = await Promise.all([
  startPostgres({ durable: true }),
  startMemcached(),
  startRabbitMq(),
])
const register = await startRegister({
  postgresUrl: postgres.url,
  memcachedServer: `127.0.0.1:${memcached.port}`,
  amqpUrl: rabbitmq.url,
})
const { person } = await people(register)
const { client } = await person('author')
const { url } = register.apps[0]
await clientOf(url, { token: client.token }).request('GET', '/api/v1/documents')

const port = await freePort()
const bare = spawnTied(process.execPath, [join(import.meta.dirname, 'bare-koa.ts')], {
  env: { ...process.env, PORT: String(port) },
})
if (bare.stdout) await once(bare.stdout, 'data')

async function measure(
  name: string,
  options: autocannon.Options,
): Promise<{ name: string; rate: number; p50: number; p99: number; failed: number }> {
  await autocannon({ connections, duration: 2, ...options })
  const result = await autocannon({ connections, duration: seconds, ...options })
  return {
    name,
    rate: result.requests.average,
    p50: result.latency.p50,
    p99: result.latency.p99,
    failed: result.non2xx + result.errors,
  }
}

const headers = { authorization: `Bearer ${client.token}`, 'content-type': 'application/json' }
const rows = [
  await measure('bare Koa route', { url: `http://127.0.0.1:${port}/` }),
  await measure('register: guarded read', { url: `${url}/api/v1/documents?limit=1`, headers }),
  await measure('register: audited write', {
    url: `${url}/api/v1/documents`,
    method: 'POST',
    headers,
    body: JSON.stringify({ title: 'bench', body: 'text' }),
  }),
]
const floor = rows[0]?.rate ?? 1
for (const { name, rate, p50, p99, failed } of rows) {
  console.log(
    `${name.padEnd(26)} ${rate.toFixed(0).padStart(7)} requests/s  ${(rate / floor).toFixed(3)} of bare  p50 ${p50} ms  p99 ${p99} ms  ${failed} failed`,
  )
}

await stopChild(bare)
await register.stop()
await Promise.all([postgres.stop(), memcached.stop(), rabbitmq.stop()])
