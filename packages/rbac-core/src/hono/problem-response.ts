import type { HttpProblem } from '../http-problem.ts'

/** Makes an answer with problem details. */
export function problemResponse({ status, headers, details }: HttpProblem): Response {
  return new Response(JSON.stringify(details), { status, headers: { ...headers } })
}
