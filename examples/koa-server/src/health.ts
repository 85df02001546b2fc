import type { Middleware } from 'koa'
import { setTimeout as sleep } from 'node:timers/promises'
import type { System } from './system.ts'

/** `/livez`: the process runs. `/readyz`: it can answer requests, which takes the database and nothing else. */
export function health({ knex, lifecycle }: System): Middleware {
  return async function health(ctx, next) {
    if (ctx.path === '/livez') {
      ctx.body = { status: 'ok' }
    } else if (ctx.path === '/readyz') {
      const database = await answers(knex.raw('select 1'))
      const ready = database && !lifecycle.draining
      ctx.status = ready ? 200 : 503
      ctx.body = { status: ready ? 'ok' : 'unavailable', database, draining: lifecycle.draining }
    } else {
      await next()
    }
  }
}

async function answers(query: PromiseLike<unknown>): Promise<boolean> {
  const answered = Promise.resolve(query).then(
    () => true,
    () => false,
  )
  return Promise.race([answered, sleep(2000, false, { ref: false })])
}
