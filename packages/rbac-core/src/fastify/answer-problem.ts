import type { HttpProblem } from '../http-problem.ts'
import type { FastifyReplyLike } from './fastify-like.ts'

/** Answers with problem details. */
export function answerProblem(reply: FastifyReplyLike, { status, headers, details }: HttpProblem): void {
  reply.code(status)
  reply.headers(headers)
  reply.send(JSON.stringify(details))
}
