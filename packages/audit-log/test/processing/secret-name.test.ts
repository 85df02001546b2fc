import { describe, expect, test } from 'vitest'
import { isSecretName } from '../../src/processing/secret-name.ts'

const secret = `
  password PASSWORD Password passwd pwd pass pw newPassword old_password password2 passwordConfirmation password_hash
  passphrase passcode db_pass dbPassword user.password user[password] smtp-pass
  secret clientSecret client_secret CLIENT-SECRET secretKey aws_secret_access_key webhookSecret
  token tokens access_token accessToken refreshToken id_token idToken csrfToken XSRF-TOKEN _csrf csrf oauth2_token
  X-Auth-Token x-amz-security-token X-Amz-Signature
  api_key apiKey apikey APIKey X-Api-Key xApiKey api-key stripeApiKey
  private_key privateKey privatekey encryptionKey signing_key ssh_key
  authorization Authorization proxy-authorization auth authorization_code code_verifier
  cookie Cookie set-cookie Set-Cookie cookies session sessionId session_id sid connect.sid PHPSESSID JSESSIONID
  otp totp mfaCode recovery_codes backupCodes pin PIN card_pin pinCode
  cvv CVC cvv2 card_number cardNumber creditCard pan iban IBAN ssn social_security_number
  sig SAMLResponse client_assertion SharedAccessKey AccountKey activationCode mot_de_passe Passwort contraseña
  credentials bearer jwt mnemonic seedPhrase securityAnswer
`
const open = `
  monkey monkeys keyboard key keys keyword primaryKey public_key foreign_key
  tokenizer tokenizer_version tokenization max_tokens total_tokens token_type tokenCount token_expires_at token_id
  passport passenger bypass compass passed pass_rate passwordless
  secretary secretariat
  author authority authorId author_name authenticated authentication_method
  cookbook cookie_consent_version
  session_count sessionTimeout sessions_limit obsession
  spinner pinned opinion shipping mapping spin
  companion expand span panel
  signature design key_account account accountId code countryCode license linked_account
  captcha laptop option adoption
  password_changed_at passwordExpiresAt has_password isPasswordSet password_policy password_required
  id name email title status version created_at url path description note address city
  secret_version pin_attempts
`

describe('isSecretName', () => {
  test.each(words(secret))('%s is the name of a secret', name => {
    expect(isSecretName(name)).toBe(true)
  })

  test.each(words(open))('%s is not', name => {
    expect(isSecretName(name)).toBe(false)
  })

  test('letters that only look different and invisible ones do not help', () => {
    expect(isSecretName('ｐａｓｓｗｏｒｄ')).toBe(true)
    expect(isSecretName('pass\u200Bword')).toBe(true)
    expect(isSecretName('PASS\u00ADWORD')).toBe(true)
    expect(isSecretName('my_p\u200Ba\u200Bs\u200Bs\u200Bword')).toBe(true)
  })

  test('a name that is too long to have been chosen is taken for a secret', () => {
    expect(isSecretName('a'.repeat(256))).toBe(false)
    expect(isSecretName('a'.repeat(257))).toBe(true)
    expect(isSecretName(`${'a_'.repeat(100)}password`)).toBe(true)
  })

  test('an empty name and one without letters are none', () => {
    expect(isSecretName('')).toBe(false)
    expect(isSecretName('--- ---')).toBe(false)
    expect(isSecretName('constructor')).toBe(false)
    expect(isSecretName('__proto__')).toBe(false)
  })
})

function words(list: string): string[] {
  return list.split(/\s+/).filter(word => word !== '')
}
