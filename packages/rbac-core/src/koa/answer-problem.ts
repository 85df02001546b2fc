import type { HttpProblem } from '../http-problem.ts'
import type { KoaContextLike } from './koa-like.ts'

/** Answers with problem details. */
export function answerProblem(ctx: KoaContextLike, { status, headers, details }: HttpProblem): void {
  ctx.status = status
  ctx.body = JSON.stringify(details)
  for (const [name, value] of Object.entries(headers)) ctx.set(name, value)
}
