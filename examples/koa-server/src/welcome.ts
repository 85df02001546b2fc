import type { System } from './system.ts'

/** What a person reads when the server is up: where it is, who may sign in, and what to try. */
export function welcome({ config, firstAdministrator }: System, address: string): string {
  const password = firstAdministrator?.password
  const signIn =
    password !== undefined
      ? `admin, password ${password}   (printed this once; it is not kept)`
      : firstAdministrator
        ? 'admin, with the password of ADMIN_PASSWORD'
        : 'admin, with the password of the first start'
  return `
  The document register is at ${address}
  Sign in as ${signIn}

  Try it in another terminal:

    PASSWORD='${password ?? '<the password>'}'
    TOKEN=$(curl -s ${address}/api/v1/session -H 'content-type: application/json' -d "{\\"username\\":\\"admin\\",\\"password\\":\\"$PASSWORD\\"}" | sed 's/.*"token":"\\([^"]*\\)".*/\\1/')
    curl -i -w '\\n' ${address}/api/v1/documents
    curl -i -w '\\n' ${address}/api/v1/documents -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' -d '{"title":"Minutes","body":"We met."}'
    curl -s -w '\\n' ${address}/api/v1/documents -H "authorization: Bearer $TOKEN"

  The second line signs in, the third is refused (401), the fourth writes a document with its audit row and its
  announcement, which the worker appends to
  ${config.eventsFile}
  Ctrl-C stops everything; the data stays in ${config.dataDirectory}.

`
}
