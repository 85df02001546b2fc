import { runWithAccess } from './context.ts'
import { accessOfRequest, type HttpAccessOptions } from './http-access.ts'
import { reportFailure } from './http-failure.ts'
import type { HttpProblem } from './http-problem.ts'

/** What is used of the answer in frameworks that keep Node's. */
export interface NodeResponseLike {
  statusCode: number
  setHeader(name: string, value: string): unknown
  end(body: string): unknown
}

/** A middleware of the form that Connect began and Express and Nest take. */
export type ConnectMiddleware<Request> = (
  request: Request,
  response: NodeResponseLike,
  next: (error?: unknown) => void,
) => Promise<void>

/** Makes middleware that resolves the access of each request and runs everything further down with it. */
export function connectAccess<Request>(options: HttpAccessOptions<Request>): ConnectMiddleware<Request> {
  return async function access(request, response, next) {
    let resolved
    try {
      resolved = await accessOfRequest(options, request, reportFailure)
    } catch (error) {
      next(error)
      return
    }
    if (resolved.problem) answerProblem(response, resolved.problem)
    else runWithAccess(resolved.access, next)
  }
}

/** Answers a request with problem details. */
export function answerProblem(response: NodeResponseLike, { status, headers, details }: HttpProblem): void {
  response.statusCode = status
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  response.end(JSON.stringify(details))
}
