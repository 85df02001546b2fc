// Written without separators: `api key`, `apiKey`, `api_key` and `apikey` are all looked up as `apikey`.
const secretWords = new Set(
  `password passwords passwd pwd passphrase passphrases passcode secret secrets token tokens authorization cookie cookies
  apikey apikeys apisecret privatekey secretkey accesskey encryptionkey signingkey sessionkey masterkey sshkey authkey
  clientsecret accesstoken refreshtoken idtoken authtoken bearer jwt session sessions sessionid sessid sid phpsessid
  jsessionid csrf xsrf csrftoken xsrftoken otp totp pin pincode mfacode recoverycode recoverycodes backupcode backupcodes
  verificationcode accesscode authcode logincode smscode activationcode activationkey licensekey accountkey securitycode securityanswer seedphrase mnemonic credential credentials cvv cvc cvv2 cvc2 cardnumber
  creditcard ccnumber ccnum cardno iban ssn socialsecuritynumber codeverifier authorizationcode clientassertion samlresponse
  amzsignature sharedaccesssignature dbpass dbpassword
  userpass smtppass mailpass adminpass rootpass redispass pgpassword mysqlpwd
  passwort kennwort motdepasse contraseña contrasena senha wachtwoord`.split(/\s+/),
)

// Too common inside longer names to be looked for there.
const secretWholeNames = new Set(['auth', 'authentication', 'pass', 'pw', 'pan', 'sig', 'userinfo'])

// `max_tokens` counts, `has_password` tells yes or no.
const harmlessFirst = new Set(['has', 'is', 'max', 'min', 'num', 'total', 'count'])

// `password_changed_at`, `token_type`, `session_count` describe the secret without being it.
const harmlessLast = new Set(
  `age algorithm at attempts changed consent count duration enabled expired expires expiry length limit max min policy
  required status strength timeout ttl type types usage version`.split(/\s+/),
)

const longestName = 256

/** Names to treat otherwise than the built-in words do; compared without case and separators. */
export interface SecretNameOptions {
  /** Further names of secrets, also as part of a longer name. @defaultValue `[]` */
  readonly secretNames?: readonly string[] | undefined
  /** Whole names that are shown although they look like a secret's, for instance `page_token`. @defaultValue `[]` */
  readonly openNames?: readonly string[] | undefined
}

/**
 * Makes the function that tells by its words whether a field's name announces a secret: `apiKey`, `X-Api-Key` and
 * `api_key` do, `monkey`, `tokenizer_version` and `password_changed_at` do not. A name of more than 256 characters does,
 * since nobody chose it for its meaning.
 */
export function createIsSecretName({ secretNames = [], openNames = [] }: SecretNameOptions = {}): (
  name: string,
) => boolean {
  const join = (name: string): string => wordsOf(name).join('')
  const secret = new Set([...secretWords, ...secretNames.map(join)])
  const open = new Set(openNames.map(join))

  return function isSecretName(name) {
    if (name.length > longestName) return true
    const words = wordsOf(name)
    const joined = words.join('')
    if (open.has(joined)) return false
    if (secret.has(joined) || secretWholeNames.has(joined)) return true
    if (isHarmless(words)) return false
    return words.some((_, start) => startsSecret(words, start, secret))
  }
}

/** The same with the built-in words alone. */
export const isSecretName: (name: string) => boolean = createIsSecretName()

function isHarmless(words: readonly string[]): boolean {
  const last = words.at(-1) ?? ''
  if (harmlessFirst.has(words[0] ?? '') || harmlessLast.has(last)) return true
  return last === 'id' && words.includes('token')
}

function startsSecret(words: readonly string[], start: number, secret: ReadonlySet<string>): boolean {
  let joined = ''
  for (const word of words.slice(start, start + 3)) {
    joined += word
    if (secret.has(joined)) return true
  }
  return false
}

function wordsOf(name: string): string[] {
  return name
    .normalize('NFKC')
    .replace(/\p{Cf}/gu, '')
    .replace(/(\p{Lu}+)(\p{Lu}\p{Ll})/gu, '$1 $2')
    .replace(/([\p{Ll}\d])(\p{Lu})/gu, '$1 $2')
    .toLowerCase()
    .split(/[^\p{L}\d]+|(?<=\p{L})(?=\d)|(?<=\d)(?=\p{L})/u)
    .filter(word => word !== '')
}
