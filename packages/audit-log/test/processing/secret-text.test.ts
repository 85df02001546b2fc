import { describe, expect, test } from 'vitest'
import { createSanitize } from '../../src/processing/sanitize.ts'

const sanitize = createSanitize()
const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U'
const pem = '-----BEGIN RSA PRIVATE KEY-----\nMIIEvQIBADAN\nBgkqhkiG9w0B\n-----END RSA PRIVATE KEY-----'
const basic = Buffer.from('ada:enchantress').toString('base64')

describe('secrets inside texts', () => {
  test.each([
    // Payment cards
    ['4111111111111111', '[masked card]'],
    ['paid with 4111 1111 1111 1111.', 'paid with [masked card].'],
    ['4111-1111-1111-1111', '[masked card]'],
    ['5555555555554444', '[masked card]'],
    ['378282246310005', '[masked card]'],
    ['6011111111111117', '[masked card]'],
    ['2223003122003222', '[masked card]'],
    ['4222222222222', '[masked card]'],
    ['4111 1111 1111 1111 12 27', '[masked card]'],
    ['card4111111111111111x', 'card[masked card]x'],
    // JSON web tokens
    [jwt, '[masked jwt]'],
    [`sent ${jwt}, expired`, 'sent [masked jwt], expired'],
    [`eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.`, '[masked jwt]'],
    // Bearer and basic credentials
    ['Bearer abc', 'Bearer [masked credentials]'],
    ['bearer 8d0f3c61b9e24a7c', 'bearer [masked credentials]'],
    ['sent bearer abcdefghijklmnopqrstuvwxyz there', 'sent bearer [masked credentials] there'],
    [`Basic ${basic}`, 'Basic [masked credentials]'],
    // Private keys, whole or cut off
    [`key: ${pem} end`, 'key: [masked private key] end'],
    [pem.slice(0, 50), '[masked private key]'],
    ['-----BEGIN PRIVATE KEY-----\\nMIIE\\n-----END PRIVATE KEY-----', '[masked private key]'],
    ['-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQOY\n-----END PGP PRIVATE KEY BLOCK-----', '[masked private key]'],
    // Passwords in addresses
    ['postgres://app:hunter2@db:5432/app', 'postgres://app:[masked credentials]@db:5432/app'],
    ['amqp://a:b@h1,amqp://c:d@h2', 'amqp://a:[masked credentials]@h2'],
    ['redis://:hunter2@cache', 'redis://:[masked credentials]@cache'],
    ['postgres://app:hun/t@er2@db/app', 'postgres://app:[masked credentials]@db/app'],
    ['http://host:80/,postgres://u:p@h', 'http://host:80/,postgres://u:[masked credentials]@h'],
    ['https://a1B2c3D4e5F6a7B8c9D0@git.example/x', 'https://[masked credentials]@git.example/x'],
    ['postgres://u:a://b@h', 'postgres://u:[masked credentials]@h'],
    // Pairs of name and value
    ['user=bob password=hunter2', 'user=bob password=[masked value]'],
    ['Server=db;Password=hunter two;Port=1', 'Server=db;Password=[masked value];Port=1'],
    ['/callback?code=1&access_token=abc&state=2', '/callback?code=1&access_token=[masked value]&state=2'],
    ['{"user":"bob","password":"hun\\"ter2","a":1}', '{"user":"bob","password":"[masked value]","a":1}'],
    ["{'api_key': 'abc', 'b': 2}", "{'api_key': '[masked value]', 'b': 2}"],
    ['{\\"token\\":\\"abc\\"}', '{\\"token\\":[masked value]'],
    ['password: a phrase of many words', 'password: [masked value]'],
    ['password="never closed', 'password="[masked value]"'],
    ['2fa_token=123456', '2fa_token=[masked value]'],
    ['token:created', 'token:[masked value]'],
    ['password:hunter', 'password:[masked value]'],
    ['password: reset', 'password: [masked value]'],
    ['password=reset', 'password=[masked value]'],
    // XML
    [
      '<login><user>bob</user><password>hunter2</password></login>',
      '<login><user>bob</user><password>[masked value]</password></login>',
    ],
    ['<ns:apiKey type="x">abc</ns:apiKey>', '<ns:apiKey type="x">[masked value]</ns:apiKey>'],
    // Tokens of well-known services; joined here so that no scanner takes them for real ones
    [`pushed with ${'ghp_'}${'a1B2'.repeat(9)} today`, 'pushed with [masked token] today'],
    [`${'sk_live_'}${'a1B2'.repeat(6)}`, '[masked token]'],
    [`${'xoxb-'}1234567890-${'a1B2'.repeat(6)}`, '[masked token]'],
    [`${'AKIA'}${'A1B2'.repeat(4)}`, '[masked token]'],
    [`${'glpat-'}${'a1B2'.repeat(5)}`, '[masked token]'],
    [`key ${'sk-ant-'}${'a1B2'.repeat(6)}`, 'key [masked token]'],
    // Headers
    ['Cookie: sid=abc; theme=dark', 'Cookie: [masked header]'],
    ['GET /\r\nAuthorization: Digest a="b", c="d"\r\nHost: x', 'GET /\r\nAuthorization: [masked header]\r\nHost: x'],
    ['Set-Cookie: __Host-sid=abc; Secure', 'Set-Cookie: [masked header]'],
    ['__Host-session=abc; theme=dark', '__Host-session=[masked value]; theme=dark'],
  ])('%j becomes %j', (text, expected) => {
    expect(sanitize(text)).toBe(expected)
  })

  test.each([
    '4111111111111112', // a wrong check digit
    '1764000000000', // a time in milliseconds
    '0199a1b2-7c3d-7e4f-8a5b-411111111111', // a UUID
    '/documents/41111111-1111-4111-8111-111111111111',
    '192.168.100.200',
    '2026-11-24T17:20:00.000Z',
    'basic training for everybody',
    'Basic information',
    'the bearer of good news',
    'https://example.org:8080/users/ada@example.org',
    'https://example.org/a?page=2&sort=name',
    'ada@example.org',
    'https://ada@example.org/x',
    'https://example.org/a-very-long-path-without-end@2',
    'Minutes: corrected and sent',
    '-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----',
    '-----BEGIN PUBLIC KEY-----\nMIIE\n-----END PUBLIC KEY-----',
    'heyJoe.example',
    'document:read',
    'token:create',
    'any of (user:session:revoke, token:*, not (password:reset))',
    'npm_lifecycle_event',
    'task-project-management-of-the-board',
    'MSG.confirmation_of_the_reservation',
    '<p>a paragraph</p>',
    'a < b and c > d',
    'tokenizer_version=3; monkey=yes',
    'password_changed_at=2026-11-24',
  ])('%j stays', text => {
    expect(sanitize(text)).toBe(text)
  })

  test('a card given as a number is masked, other large numbers are not', () => {
    expect(sanitize([4111111111111111, 4111111111111111n, 1764000000000, 9007199254740991])).toEqual([
      '[masked card]',
      '[masked card]',
      1764000000000,
      9007199254740991,
    ])
  })

  test.each([
    ['a token', `${'x'.repeat(90)} ${jwt}`, 'eyJ'],
    ['a card', `${'x'.repeat(90)} 4111111111111111`, '4111'],
    ['an address', `${'x'.repeat(80)} postgres://app:hunter2@db`, 'hunter'],
    ['a very long address', `postgres://app:${'h'.repeat(2000)}@db`, 'hhh'],
    ['a very long token', `eyJ${'h'.repeat(2000)}.a`, 'eyJ'],
    ['a very long key', `-----BEGIN PRIVATE KEY-----${'h'.repeat(2000)}`, 'hhh'],
  ])('%s across the cut leaves nothing of itself', (_, text, piece) => {
    const copy = createSanitize({ limits: { textLength: 100 } })(text)
    expect(copy).toContain('[truncated:')
    expect(copy).not.toContain(piece)
  })

  const units = [
    'eyJ',
    'eyJ.',
    'bearer ',
    'basic a',
    '-----BEGIN ',
    '-----BEGIN PRIVATE KEY-----',
    '://',
    '@://',
    ':80/',
  ]
  const more = [
    'a=',
    'password="',
    "password='",
    'a',
    '1 ',
    '1-',
    'a1',
    'cookie:',
    '"',
    '\\',
    '\\"',
    ' ',
    'aaaaaaaa-',
    '\uD800',
  ]
  test.each([...units, ...more])('a text made of %j to slow it down takes time in proportion to its length', unit => {
    const patient = createSanitize({ limits: { textLength: 1_000_000, bytes: 2_000_000 } })
    const text = unit.repeat(Math.ceil(500_000 / unit.length))
    const startedAt = performance.now()
    for (const hostile of [text, `password=${text}`, `a://${text}@`, `${text}="`]) patient(hostile)
    // A pattern that looks back would need minutes.
    expect(performance.now() - startedAt).toBeLessThan(5000)
  })
})
