import { isHidden } from './hide.ts'
import { isCardNumber } from './payment-card.ts'
import { found as bit } from './screen.ts'

/** What a text was found to hold; named in the mask. */
export type SecretKind = 'card' | 'jwt' | 'credentials' | 'private key' | 'header' | 'token' | 'value'

/** Gives what stands in a text instead of a secret. */
export type Replace = (secret: string, kind: SecretKind) => string

/** Tells whether a name announces a secret. */
export type IsSecret = (name: string) => boolean

// Every pattern below takes all it can and never looks back for less, so its time grows with the text and no faster;
// what it took is judged afterwards in code.

// A UUID is taken first so that its digits are not read as a card's.
const uuidOrDigits = /[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}|\d(?:[ -]?\d){12,}/gi
const tokenRun = /eyJ[\w.-]*/g
const bearer = /bearer[ \t]+([^\s,;"']+)/gi
const basic = /basic[ \t]+([\w+/=-]+)/gi
const privateKey =
  /-----BEGIN [A-Z\d ]{0,40}PRIVATE KEY(?: BLOCK)?-----[^]*?(?:-----END [A-Z\d ]{0,40}PRIVATE KEY(?: BLOCK)?-----|$)/g
const headerLine = /((?:set-)?cookie2?|(?:proxy-)?authorization)("?[ \t]*:[ \t]*)([^\r\n]+)/gi
const nameAndMark = /(?<![\w.$-])((?:[a-z_$]|\d[a-z])[\w.-]*)\\*["']?[ \t]*[=:][ \t]*/gi
const pairValue = /"(?:[^"\\]|\\[^])*"?|'(?:[^'\\]|\\[^])*'?|[^;&\r\n]+/y
const element = /<([a-z_][\w.:-]*)((?:[ \t\r\n][^<>]*)?>)([^<]+)/gi
// GitHub, GitLab, Slack, Stripe, npm, AWS, Google, SendGrid, Hugging Face, DigitalOcean, OpenAI, Anthropic.
const serviceToken =
  /(?<![A-Za-z\d])(?:gh[opsur]_|github_pat_|glpat-|xox[abeoprs]-|[rs]k_(?:live|test)_|whsec_|npm_|A(?:KIA|SIA|Iza)|ya29\.|SG\.|hf_|do[opr]_v1_|sk-(?:proj|ant|svcacct)-)[\w.-]{16,}/g
// `token:create` is a permission, and hardly anybody's token is called `create`.
const permissionAction =
  /(?:\*|read|write|create|update|change|edit|delete|remove|destroy|list|view|search|manage|use|issue|grant|assign|revoke|renew|rotate|reset|verify|export|import|share|restore)(?=[\s,)]|$)/y
// A user's name is hardly that long.
const addressToken = /^:\/\/[^@:/?#]{20,}(?=@)/
const addressRun = /:\/\/[^\s"'<>]*/g

/**
 * Replaces what looks like a secret inside a text: payment cards, JSON web tokens, bearer and basic credentials,
 * private keys, tokens of well-known services, passwords in addresses, in `name=value` pairs and in XML elements, cookie
 * and authorization headers.
 *
 * @param text - A well-formed text; the caller bounds its length.
 * @param screened - What `screen` found in it.
 * @param isCut - Whether the text goes on in the original, so that a secret may lack its end.
 */
export function replaceSecrets(
  text: string,
  screened: number,
  isCut: boolean,
  isSecret: IsSecret,
  replace: Replace,
): string {
  let out = text
  if (screened & bit.dash && out.includes('-----BEGIN ')) {
    out = out.replace(privateKey, found => replace(found, 'private key'))
  }
  if (screened & bit.capitalJ && out.includes('eyJ')) out = replaceTokens(out, isCut, replace)
  if (screened & bit.colon) {
    if (out.includes('://')) out = replaceInAddresses(out, isCut, replace)
    out = out.replace(headerLine, (_, name: string, mark: string, value: string) => {
      return name + mark + replace(value, 'header')
    })
  }
  if (screened & bit.lessThan) {
    out = out.replace(element, (found, name: string, tag: string, value: string) => {
      return isSecret(name) ? `<${name}${tag}${replace(value, 'value')}` : found
    })
  }
  if (screened & bit.serviceMark) out = out.replace(serviceToken, found => replace(found, 'token'))
  if (screened & (bit.colon | bit.equals)) out = replaceInPairs(out, isSecret, replace)
  if (screened & bit.space) out = replaceCredentials(out, replace)
  if (screened & bit.manyDigits) {
    out = out.replace(uuidOrDigits, found => (isCardText(found) ? replace(found, 'card') : found))
  }
  return out
}

function replaceTokens(text: string, isCut: boolean, replace: Replace): string {
  return text.replace(tokenRun, (found, at: number) => {
    const runsOut = isCut && at + found.length === text.length
    return (found.includes('.') && found.length >= 20) || runsOut ? replace(found, 'jwt') : found
  })
}

function replaceInPairs(text: string, isSecret: IsSecret, replace: Replace): string {
  let out = ''
  let copied = 0
  nameAndMark.lastIndex = 0
  for (let found = nameAndMark.exec(text); found; found = nameAndMark.exec(text)) {
    if (!isSecret(found[1] ?? '')) continue
    const start = nameAndMark.lastIndex
    if (found[0] === `${found[1]}:` && isAt(permissionAction, text, start)) continue
    pairValue.lastIndex = start
    const value = pairValue.exec(text)?.[0]
    if (value === undefined) continue
    nameAndMark.lastIndex = start + value.length
    if (isHidden(value.replace(/^["']|["']$/g, ''))) continue
    out += text.slice(copied, start) + quoted(value, replace)
    copied = start + value.length
  }
  return copied === 0 ? text : out + text.slice(copied)
}

function isAt(sticky: RegExp, text: string, at: number): boolean {
  sticky.lastIndex = at
  return sticky.test(text)
}

function quoted(value: string, replace: Replace): string {
  const quote = value[0]
  if (quote !== '"' && quote !== "'") return replace(value, 'value')
  return quote + replace(value.slice(1), 'value') + quote
}

function replaceCredentials(text: string, replace: Replace): string {
  return text
    .replace(bearer, (found, token: string) => {
      const isWhole = found.length === text.length
      return isWhole || token.length >= 20 || /\d/.test(token) ? replaceEnd(found, token, replace) : found
    })
    .replace(basic, (found, encoded: string) => (isBasic(encoded) ? replaceEnd(found, encoded, replace) : found))
}

function replaceEnd(found: string, secret: string, replace: Replace): string {
  return found.slice(0, found.length - secret.length) + replace(secret, 'credentials')
}

/** `basic training` is no credential: it does not decode to `user:password`. */
function isBasic(encoded: string): boolean {
  const decoded = Buffer.from(encoded, 'base64').toString('latin1')
  return /^[^\p{Cc}]*:[^\p{Cc}]*$/u.test(decoded)
}

/** Other numbers may stand before and behind a card's: `4111 1111 1111 1111 12 27`. */
function isCardText(found: string): boolean {
  const groups = found.split(/[ -]/)
  return groups.some((_, first) => {
    let digits = ''
    for (let at = first; at < groups.length && digits.length < 19; at++) {
      digits += groups[at] ?? ''
      if (isCardNumber(digits)) return true
    }
    return false
  })
}

/** Hides the password of `scheme://user:password@host`, which may itself hold slashes that should have been escaped. */
function replaceInAddresses(text: string, isCut: boolean, replace: Replace): string {
  return text.replace(addressRun, (run, start: number) => {
    const runsOut = isCut && start + run.length === text.length
    const end = runsOut ? run.length : run.lastIndexOf('@')
    const from = secretStart(run, end)
    return from === undefined ? run : run.slice(0, from) + replace(run.slice(from, end), 'credentials') + run.slice(end)
  })
}

/** Finds where the secret begins in `://user:password@host` or `://token@host`; `://host:80/path` has none. */
function secretStart(run: string, end: number): number | undefined {
  if (addressToken.exec(run)?.[0].length === end) return '://'.length
  let colon = run.indexOf(':', 1)
  while (colon >= 0 && colon < end) {
    const isPort = /^\d{1,5}(?:[/?#,]|$)/.test(run.slice(colon + 1, colon + 8))
    if (!isPort) return colon + 1
    // Several addresses may follow one another without a space.
    const next = run.indexOf('://', colon)
    if (next < 0) return undefined
    colon = run.indexOf(':', next + 3)
  }
  return undefined
}
