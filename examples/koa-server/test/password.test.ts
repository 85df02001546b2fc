import { expect, test } from 'vitest'
import { hashPassword, verifyPassword } from '../src/password.ts'

test('a password is kept as argon2id with the parameters of the recommendation', async () => {
  const hash = await hashPassword('correct horse battery staple')
  expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
  expect(await verifyPassword(hash, 'correct horse battery staple')).toBe(true)
  expect(await verifyPassword(hash, 'correct horse battery stapl')).toBe(false)
})

test('nobody signs in without a hash, not even with the decoy', async () => {
  expect(await verifyPassword(undefined, 'nobody has this password')).toBe(false)
})

test('sign-ins beyond what may wait are refused at once', async () => {
  const hash = await hashPassword('correct horse battery staple')
  const results = await Promise.allSettled(Array.from({ length: 60 }, () => verifyPassword(hash, 'x')))
  const refused = results.filter(result => result.status === 'rejected')
  expect(refused).toHaveLength(8)
  expect(refused[0]).toMatchObject({ reason: { status: 503, code: 'BUSY' } })
  expect(await verifyPassword(hash, 'correct horse battery staple')).toBe(true)
})
