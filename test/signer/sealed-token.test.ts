/** API tokens on their way to the signer: RFC 7516, one algorithm, one request. */

import { CompactEncrypt, importJWK, type JWK } from 'jose'
import { beforeAll, expect, test } from 'vitest'
import {
  isUsableSealKey,
  makeSealKey,
  parseOpenings,
  parseSealing,
  takePublicHalf,
  type Opening,
  type Sealing,
} from '../../src/signer/seal-key.ts'
import { openSealedToken, SEALED_TOKEN_MAX_CHARACTERS, sealToken } from '../../src/signer/sealed-token.ts'

const TOKEN = `slg_${'a'.repeat(43)}123456`
const NONCE = 'c29tZSBub25jZSBvZiAxNg=='

let privateKey: JWK
let sealing: Sealing
let openings: readonly Opening[]
beforeAll(async () => {
  privateKey = await makeSealKey()
  sealing = requireKey(parseSealing(JSON.stringify(takePublicHalf(privateKey))))
  openings = requireKey(parseOpenings(JSON.stringify(privateKey)))
})

function requireKey<T>(parsed: T | string): T {
  if (typeof parsed === 'string') throw new Error(parsed)
  return parsed
}

test('what was sealed is opened, and shows nothing of the token', async () => {
  const sealed = await sealToken(TOKEN, NONCE, sealing)
  expect(await openSealedToken(sealed, NONCE, openings)).toBe(TOKEN)
  expect(sealed).not.toContain('slg_')
  expect(Buffer.from(sealed.replaceAll('.', ''), 'base64url').toString('latin1')).not.toContain('slg_')
})

test('one token is sealed differently each time', async () => {
  expect(await sealToken(TOKEN, NONCE, sealing)).not.toBe(await sealToken(TOKEN, NONCE, sealing))
})

test('the longest token fits its bound', async () => {
  const longest = 'x'.repeat(4096)
  const sealed = await sealToken(longest, NONCE, sealing)
  expect(sealed.length).toBeLessThanOrEqual(SEALED_TOKEN_MAX_CHARACTERS)
  expect(await openSealedToken(sealed, NONCE, openings)).toBe(longest)
})

test('a token sealed for one request is not opened for another (replay)', async () => {
  const sealed = await sealToken(TOKEN, NONCE, sealing)
  expect(await openSealedToken(sealed, `${NONCE}x`, openings)).toBeNull()
  expect(await openSealedToken(sealed, '', openings)).toBeNull()
})

test('another key opens nothing, whatever kid the message names', async () => {
  const other = await makeSealKey()
  const sealed = await sealToken(TOKEN, NONCE, sealing)
  const named = { keyId: sealing.keyId, jwk: other }
  expect(await openSealedToken(sealed, NONCE, [named])).toBeNull()
  expect(await openSealedToken(sealed, NONCE, [])).toBeNull()
})

test('keys rotate: every key of the set opens what was sealed for it', async () => {
  const next = await makeSealKey()
  const both = requireKey(parseOpenings(JSON.stringify({ keys: [next, privateKey] })))
  const nextSealing = requireKey(parseSealing(JSON.stringify(takePublicHalf(next))))
  expect(await openSealedToken(await sealToken(TOKEN, NONCE, sealing), NONCE, both)).toBe(TOKEN)
  expect(await openSealedToken(await sealToken(TOKEN, NONCE, nextSealing), NONCE, both)).toBe(TOKEN)
  expect(await openSealedToken(await sealToken(TOKEN, NONCE, nextSealing), NONCE, openings)).toBeNull()
})

test('a changed byte anywhere is found', async () => {
  const sealed = await sealToken(TOKEN, NONCE, sealing)
  for (let at = 0; at < sealed.length; at += 7) {
    const changed = sealed.slice(0, at) + (sealed[at] === 'A' ? 'B' : 'A') + sealed.slice(at + 1)
    expect([at, await openSealedToken(changed, NONCE, openings)]).toEqual([at, null])
  }
})

test.each([
  ['nothing', ''],
  ['no JWE', 'a.b.c.d.e'],
  ['a JWS', 'eyJhbGciOiJIUzI1NiJ9.e30.AAAA'],
])('%s is not opened', async (_what, text) => {
  expect(await openSealedToken(text, NONCE, openings)).toBeNull()
})

const MESSAGES: [string, Record<string, string | undefined>, unknown][] = [
  ['another type', { typ: 'JWT' }, { token: TOKEN, nonce: NONCE }],
  ['another content encryption', { enc: 'A128CBC-HS256' }, { token: TOKEN, nonce: NONCE }],
  ['another key agreement', { alg: 'ECDH-ES+A256KW' }, { token: TOKEN, nonce: NONCE }],
  ['no kid', { kid: undefined }, { token: TOKEN, nonce: NONCE }],
  ['a token that is no text', {}, { token: 7, nonce: NONCE }],
  ['no nonce', {}, { token: TOKEN }],
  ['no object', {}, 'x'],
]

test.each(MESSAGES)('a message with %s is not opened', async (_what, header, message) => {
  const jwe = await new CompactEncrypt(new TextEncoder().encode(JSON.stringify(message)))
    .setProtectedHeader({
      alg: 'ECDH-ES',
      enc: 'A256GCM',
      typ: 'slurmgate-api-token+jwe',
      kid: sealing.keyId,
      ...header,
    })
    .encrypt(await importJWK(sealing.jwk, header['alg'] ?? 'ECDH-ES'))
  expect(await openSealedToken(jwe, NONCE, openings)).toBeNull()
})

test('the public half has nothing of the private one; a gateway refuses the private one', () => {
  expect(Object.keys(takePublicHalf(privateKey)).sort()).toEqual(['crv', 'kid', 'kty', 'use', 'x', 'y'])
  expect(parseSealing(JSON.stringify(privateKey))).toContain('belongs to the signer alone')
})

test.each([
  ['no JSON', '{'],
  ['an empty set', '{"keys":[]}'],
  ['a public key', () => JSON.stringify(takePublicHalf(privateKey))],
  ['another curve', () => JSON.stringify({ ...privateKey, crv: 'P-384' })],
  ['no kid', () => JSON.stringify({ ...privateKey, kid: undefined })],
  ['one kid twice', () => JSON.stringify({ keys: [privateKey, privateKey] })],
  ['null', 'null'],
])('%s is no key of the signer, and is not shown', (_what, build) => {
  const text = typeof build === 'string' ? build : build()
  const problem = parseOpenings(text)
  expect(typeof problem).toBe('string')
  expect(problem).not.toContain(privateKey.d)
})

test('a key whose point is off its curve is none', async () => {
  const [genuine] = openings
  if (genuine === undefined) throw new Error('no key')
  expect(await isUsableSealKey(genuine)).toBe(true)
  const { y } = privateKey
  expect(await isUsableSealKey({ ...genuine, jwk: { ...genuine.jwk, x: y ?? '' } })).toBe(false)
})
