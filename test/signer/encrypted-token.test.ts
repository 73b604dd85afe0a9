/** API tokens on their way to the signer: RFC 7516, one algorithm, one request. */

import { CompactEncrypt, importJWK, type JWK } from 'jose'
import { beforeAll, expect, test, vi } from 'vitest'
import {
  isUsableEncryptionKey,
  makeEncryptionKey,
  parseDecryptionKeys,
  parseEncryptionKey,
  takePublicHalf,
  type DecryptionKey,
  type EncryptionKey,
} from '../../src/signer/encryption-key.ts'
import {
  decryptToken,
  ENCRYPTED_TOKEN_MAX_CHARACTERS,
  encryptToken,
} from '../../src/signer/encrypted-token.ts'

const TOKEN = `slg_${'a'.repeat(43)}123456`
const NONCE = 'c29tZSBub25jZSBvZiAxNg=='
const NOW = 1_800_000_000
const ANSWER_KEY = 'e.n.c.r.y.p.t.e.d'
const BINDING = { nonce: NONCE, answerKey: ANSWER_KEY, madeAt: NOW }
const CALL = { nonce: NONCE, answerKey: ANSWER_KEY, nowSeconds: NOW }

let privateKey: JWK
let encryptionKey: EncryptionKey
let decryptionKeys: readonly DecryptionKey[]
beforeAll(async () => {
  privateKey = await makeEncryptionKey()
  encryptionKey = requireKey(parseEncryptionKey(JSON.stringify(takePublicHalf(privateKey))))
  decryptionKeys = requireKey(parseDecryptionKeys(JSON.stringify(privateKey)))
})

function requireKey<T>(parsed: T | string): T {
  if (typeof parsed === 'string') throw new Error(parsed)
  return parsed
}

test('what was encrypted is opened, and shows nothing of the token', async () => {
  const encrypted = await encryptToken(TOKEN, BINDING, encryptionKey)
  expect(await decryptToken(encrypted, CALL, decryptionKeys)).toBe(TOKEN)
  expect(encrypted).not.toContain('slg_')
  expect(Buffer.from(encrypted.replaceAll('.', ''), 'base64url').toString('latin1')).not.toContain('slg_')
})

test('one token is encrypted differently each time', async () => {
  expect(await encryptToken(TOKEN, BINDING, encryptionKey)).not.toBe(
    await encryptToken(TOKEN, BINDING, encryptionKey),
  )
})

test('the longest token fits its bound', async () => {
  const longest = 'x'.repeat(4096)
  const encrypted = await encryptToken(longest, BINDING, encryptionKey)
  expect(encrypted.length).toBeLessThanOrEqual(ENCRYPTED_TOKEN_MAX_CHARACTERS)
  expect(await decryptToken(encrypted, CALL, decryptionKeys)).toBe(longest)
})

test('a token encrypted for one request is not opened for another (replay)', async () => {
  const encrypted = await encryptToken(TOKEN, BINDING, encryptionKey)
  expect(await decryptToken(encrypted, { ...CALL, nonce: `${NONCE}x` }, decryptionKeys)).toBeNull()
  expect(await decryptToken(encrypted, { ...CALL, nonce: '' }, decryptionKeys)).toBeNull()
})

test('whoever carries a token to the signer cannot have the answer encrypted for himself', async () => {
  const encrypted = await encryptToken(TOKEN, BINDING, encryptionKey)
  expect(await decryptToken(encrypted, { ...CALL, answerKey: 'm.i.n.e' }, decryptionKeys)).toBeNull()
})

test('both ends import their key once', async () => {
  const importKey = vi.spyOn(crypto.subtle, 'importKey')
  const pair = await makeEncryptionKey()
  const theirs = requireKey(parseEncryptionKey(JSON.stringify(takePublicHalf(pair))))
  const mine = requireKey(parseDecryptionKeys(JSON.stringify(pair)))
  for (let index = 0; index < 5; index += 1) {
    expect(await decryptToken(await encryptToken(TOKEN, BINDING, theirs), CALL, mine)).toBe(TOKEN)
  }
  const imports = importKey.mock.calls.filter(([, data]) => (data as { x?: string }).x === pair.x)
  expect(imports).toHaveLength(2)
  importKey.mockRestore()
})

test.each([
  ['5 s old', 5, TOKEN],
  ['5 s ahead', -5, TOKEN],
  ['6 s old', 6, null],
  ['6 s ahead', -6, null],
  ['a month old', 30 * 86_400, null],
])('a token recorded with its nonce and %s is %s', async (_what, seconds, expected) => {
  const encrypted = await encryptToken(TOKEN, BINDING, encryptionKey)
  expect(await decryptToken(encrypted, { ...CALL, nowSeconds: NOW + seconds }, decryptionKeys)).toBe(expected)
})

test('another key opens nothing, whatever kid the message names', async () => {
  const other = await makeEncryptionKey()
  const encrypted = await encryptToken(TOKEN, BINDING, encryptionKey)
  const named = { keyId: encryptionKey.keyId, jwk: other }
  expect(await decryptToken(encrypted, CALL, [named])).toBeNull()
  expect(await decryptToken(encrypted, CALL, [])).toBeNull()
})

test('keys rotate: every key of the set opens what was encrypted for it', async () => {
  const next = await makeEncryptionKey()
  const both = requireKey(parseDecryptionKeys(JSON.stringify({ keys: [next, privateKey] })))
  const nextSealing = requireKey(parseEncryptionKey(JSON.stringify(takePublicHalf(next))))
  expect(await decryptToken(await encryptToken(TOKEN, BINDING, encryptionKey), CALL, both)).toBe(TOKEN)
  expect(await decryptToken(await encryptToken(TOKEN, BINDING, nextSealing), CALL, both)).toBe(TOKEN)
  expect(await decryptToken(await encryptToken(TOKEN, BINDING, nextSealing), CALL, decryptionKeys)).toBeNull()
})

test('a changed byte anywhere is found', async () => {
  const encrypted = await encryptToken(TOKEN, BINDING, encryptionKey)
  for (let at = 0; at < encrypted.length; at += 7) {
    const changed = encrypted.slice(0, at) + (encrypted[at] === 'A' ? 'B' : 'A') + encrypted.slice(at + 1)
    expect([at, await decryptToken(changed, CALL, decryptionKeys)]).toEqual([at, null])
  }
})

test.each([
  ['nothing', ''],
  ['no JWE', 'a.b.c.d.e'],
  ['a JWS', 'eyJhbGciOiJIUzI1NiJ9.e30.AAAA'],
])('%s is not opened', async (_what, text) => {
  expect(await decryptToken(text, CALL, decryptionKeys)).toBeNull()
})

const MESSAGES: [string, Record<string, string | undefined>, unknown][] = [
  ['another type', { typ: 'JWT' }, { token: TOKEN, ...BINDING }],
  ['another content encryption', { enc: 'A128CBC-HS256' }, { token: TOKEN, ...BINDING }],
  ['another key agreement', { alg: 'ECDH-ES+A256KW' }, { token: TOKEN, ...BINDING }],
  ['no kid', { kid: undefined }, { token: TOKEN, ...BINDING }],
  ['a token that is no text', {}, { token: 7, ...BINDING }],
  ['no nonce', {}, { token: TOKEN, ...BINDING, nonce: undefined }],
  ['no answer key', {}, { token: TOKEN, ...BINDING, answerKey: undefined }],
  ['no time', {}, { token: TOKEN, ...BINDING, madeAt: undefined }],
  ['a time that is text', {}, { token: TOKEN, ...BINDING, madeAt: String(NOW) }],
  ['no object', {}, 'x'],
]

test.each(MESSAGES)('a message with %s is not opened', async (_what, header, message) => {
  const jwe = await new CompactEncrypt(new TextEncoder().encode(JSON.stringify(message)))
    .setProtectedHeader({
      alg: 'ECDH-ES',
      enc: 'A256GCM',
      typ: 'slurmgate-api-token+jwe',
      kid: encryptionKey.keyId,
      ...header,
    })
    .encrypt(await importJWK(encryptionKey.jwk, header['alg'] ?? 'ECDH-ES'))
  expect(await decryptToken(jwe, CALL, decryptionKeys)).toBeNull()
})

test('the public half has nothing of the private one; a gateway refuses the private one', () => {
  expect(Object.keys(takePublicHalf(privateKey)).sort()).toEqual(['crv', 'kid', 'kty', 'use', 'x', 'y'])
  expect(parseEncryptionKey(JSON.stringify(privateKey))).toContain('belongs to the signer alone')
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
  const problem = parseDecryptionKeys(text)
  expect(typeof problem).toBe('string')
  expect(problem).not.toContain(privateKey.d)
})

test('a key whose point is off its curve is none', async () => {
  const [genuine] = decryptionKeys
  if (genuine === undefined) throw new Error('no key')
  expect(await isUsableEncryptionKey(genuine)).toBe(true)
  const { y } = privateKey
  expect(await isUsableEncryptionKey({ ...genuine, jwk: { ...genuine.jwk, x: y ?? '' } })).toBe(false)
})
