import type { HonoContextLike } from './hono-like.ts'

/** Gives the template of the route that answered, or was to answer; else the path, never the query string. */
export function routeOf({ req }: HonoContextLike): string {
  // What `use` added for many paths comes first and says nothing of the route.
  const isRoute = (entry: { method: string; path: string }): boolean =>
    entry.method !== 'ALL' || !entry.path.endsWith('*')
  return req.matchedRoutes.slice(req.routeIndex).find(isRoute)?.path ?? req.path
}

/** Gives the body as the handler read it: JSON or a form. One that nobody has read is not read for the log. */
export async function parsedBody({ req }: HonoContextLike): Promise<unknown> {
  if (Object.keys(req.bodyCache).length === 0) return undefined
  const type = req.header('content-type') ?? ''
  try {
    if (/^application\/([\w.-]+\+)?json\b/i.test(type)) return await req.json()
    if (/^(multipart\/form-data|application\/x-www-form-urlencoded)\b/i.test(type)) return await req.parseBody()
  } catch {
    // Not what its header says; the handler has told the client.
  }
  return undefined
}

/** Gives the address of the socket as `@hono/node-server` keeps it. */
export function addressOf({ env }: HonoContextLike): string | undefined {
  const { incoming } = (env ?? {}) as { incoming?: { socket?: { remoteAddress?: string } } }
  return incoming?.socket?.remoteAddress
}
