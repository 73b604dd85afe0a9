/** What the signer encrypts for who asked: for nobody else to read, and at a cost that a call can bear. */

import { beforeAll, expect, test, vi } from 'vitest'
import {
  ANSWER_KEY_MAX_CHARACTERS,
  ANSWER_KEYS_KEPT,
  createAnswerKeyOpener,
  createAnswerKeys,
  isKeyName,
  type AnswerKey,
  type OpenAnswerKey,
} from '../../src/signer/answer-key.ts'
import type { DecryptionKey, EncryptionKey } from '../../src/signer/encryption-key.ts'
import { encryptToken } from '../../src/signer/encrypted-token.ts'
import { makeSignerKeys } from './signer-keys.ts'

const SLURM_TOKEN = `eyJhbGciOiJIUzI1NiJ9.${btoa('{"sun":"alice","iat":1800000000,"exp":1800000120}').replaceAll('=', '')}.AAAA`
const NOW = 1_800_000_000_000

let encryptionKey: EncryptionKey
let decryptionKeys: readonly DecryptionKey[]
beforeAll(async () => {
  ;({ encryptionKey, decryptionKeys } = await makeSignerKeys())
})

const world = { now: NOW }
const makeGateway = (): (() => Promise<AnswerKey>) =>
  createAnswerKeys({
    encryptionKey,
    randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
    clock: () => world.now,
  })

async function sealWith(open: OpenAnswerKey, encryptedOrName: string): Promise<string> {
  const seal = await open(encryptedOrName)
  if (seal === null || seal === 'unknown') throw new Error(`the key is ${String(seal)}`)
  return (await seal(SLURM_TOKEN)).jwe
}

test('what is sealed for one gateway is opened by it, shows nothing, and is opened by no other', async () => {
  const open = createAnswerKeyOpener(decryptionKeys)
  const [one, other] = [await makeGateway()(), await makeGateway()()]
  const sealed = await sealWith(open, one.encrypted)
  expect(sealed).toMatch(/^[\w-]+\.\.[\w-]+\.[\w-]+\.[\w-]+$/)
  expect(Buffer.from(sealed, 'base64url').toString('latin1')).not.toContain('eyJ')
  expect(sealed).not.toContain(SLURM_TOKEN.split('.')[1])
  expect(await one.open(sealed)).toBe(SLURM_TOKEN)
  expect(await other.open(sealed)).toBeNull()
})

test('by its name a key is found where it was opened before, and what it seals is for whoever made it', async () => {
  const open = createAnswerKeyOpener(decryptionKeys)
  const [one, other] = [await makeGateway()(), await makeGateway()()]
  expect(isKeyName(one.name)).toBe(true)
  expect(isKeyName(one.encrypted)).toBe(false)
  expect(one.name).not.toBe(other.name)
  await open(one.encrypted)
  await open(other.encrypted)
  // Whoever knows the name alone gets what he cannot read.
  const sealed = await sealWith(open, one.name)
  expect(await one.open(sealed)).toBe(SLURM_TOKEN)
  expect(await other.open(sealed)).toBeNull()
})

test('a name is unknown to a signer that opened no such key: another one, or one that was restarted', async () => {
  const { encrypted, name } = await makeGateway()()
  const open = createAnswerKeyOpener(decryptionKeys)
  expect(await open(name)).toBe('unknown')
  await open(encrypted)
  expect(await createAnswerKeyOpener(decryptionKeys)(name)).toBe('unknown')
  // Nor does a key that could not be opened get a name.
  const { encryptionKey: foreign } = await makeSignerKeys()
  const strange = await createAnswerKeys({
    encryptionKey: foreign,
    randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
    clock: () => NOW,
  })()
  expect(await open(strange.encrypted)).toBeNull()
  expect(await open(strange.name)).toBe('unknown')
})

test('the keys that a signer has have a bound: the oldest has to be sent whole again', async () => {
  const open = createAnswerKeyOpener(decryptionKeys)
  const keys = await Promise.all(Array.from({ length: ANSWER_KEYS_KEPT + 1 }, () => makeGateway()()))
  for (const { encrypted } of keys) await open(encrypted)
  const [oldest, second] = keys
  expect(await open(oldest?.name ?? '')).toBe('unknown')
  expect(await open(second?.name ?? '')).not.toBe('unknown')
  await open(oldest?.encrypted ?? '')
  expect(await open(oldest?.name ?? '')).not.toBe('unknown')
})

test('a Slurm token is encrypted once for each of many gateways: what a name was given before it is given again', async () => {
  const open = createAnswerKeyOpener(decryptionKeys)
  const keys = await Promise.all(Array.from({ length: 40 }, () => makeGateway()()))
  const sealForAll = (): Promise<string[]> =>
    Promise.all(keys.map(({ encrypted }) => sealWith(open, encrypted)))
  const sealed = await sealForAll()
  // Made anew, it would have another initialization vector.
  expect(await sealForAll()).toEqual(sealed)
  expect(new Set(sealed).size).toBe(keys.length)
  for (const [index, key] of keys.entries()) expect(await key.open(sealed[index] ?? '')).toBe(SLURM_TOKEN)
})

function readParts(jwe: string): string {
  return jwe
    .split('.')
    .map((part) => Buffer.from(part, 'base64url').toString('hex'))
    .join()
}

test('a changed byte anywhere is found', async () => {
  const key = await makeGateway()()
  const sealed = await sealWith(createAnswerKeyOpener(decryptionKeys), key.encrypted)
  for (let at = 0; at < sealed.length; at += 5) {
    const changed = sealed.slice(0, at) + (sealed[at] === 'A' ? 'B' : 'A') + sealed.slice(at + 1)
    // The last character of a part may have bits that no byte has.
    if (readParts(changed) !== readParts(sealed)) expect([at, await key.open(changed)]).toEqual([at, null])
  }
})

test('a key encrypted for another signer, an API token, and what is no JWE are no answer keys', async () => {
  const open = createAnswerKeyOpener(decryptionKeys)
  const { encrypted } = await makeGateway()()
  const binding = { nonce: 'n', answerKey: encrypted, madeAt: NOW / 1000 }
  for (const text of [
    await encryptToken('x'.repeat(32), binding, encryptionKey),
    encrypted.slice(0, -1),
    `${encrypted}A`,
    'A'.repeat(ANSWER_KEY_MAX_CHARACTERS + 1),
    'true',
    '',
  ]) {
    expect(await open(text)).toBeNull()
  }
  const { decryptionKeys: other } = await makeSignerKeys()
  expect(await createAnswerKeyOpener(other)(encrypted)).toBeNull()
})

test('a key is used for ten minutes, then another is made', async () => {
  const findKey = makeGateway()
  const first = await findKey()
  world.now = NOW + 10 * 60_000 - 1
  expect(await findKey()).toBe(first)
  world.now = NOW + 10 * 60_000
  const second = await findKey()
  expect(second.encrypted).not.toBe(first.encrypted)
  // A clock that was set back by hours does not stretch it.
  world.now = NOW - 3_600_000
  expect((await findKey()).encrypted).not.toBe(second.encrypted)
  world.now = NOW
})

test('keys are agreed on once for many calls, and one Slurm token is encrypted once for each key', async () => {
  const [derive, encrypt] = [vi.spyOn(crypto.subtle, 'deriveBits'), vi.spyOn(crypto.subtle, 'encrypt')]
  const [findKey, open] = [makeGateway(), createAnswerKeyOpener(decryptionKeys)]
  const call = async (): Promise<void> => {
    const key = await findKey()
    expect(await key.open(await sealWith(open, key.encrypted))).toBe(SLURM_TOKEN)
    expect(await key.open(await sealWith(open, key.name))).toBe(SLURM_TOKEN)
  }
  await call()
  const [derived, encrypted] = [derive.mock.calls.length, encrypt.mock.calls.length]
  for (let index = 0; index < 20; index += 1) await call()
  expect([derived, encrypted]).toEqual([2, 2])
  expect([derive.mock.calls.length, encrypt.mock.calls.length]).toEqual([derived, encrypted])
  vi.restoreAllMocks()
})

test('a Slurm token is opened once, by the digest that whoever sealed it signed, and under no other one', async () => {
  const decrypt = vi.spyOn(crypto.subtle, 'decrypt')
  const key = await makeGateway()()
  const [seal, theirs] = await Promise.all(
    [key, await makeGateway()()].map(({ encrypted }) => createAnswerKeyOpener(decryptionKeys)(encrypted)),
  )
  if (typeof seal !== 'function' || typeof theirs !== 'function') throw new Error('no key')
  const { jwe: token, digest } = await seal(SLURM_TOKEN)
  const before = decrypt.mock.calls.length
  expect(await key.openSlurmToken({ token, digest: 'ab'.repeat(32) })).toBeNull()
  expect(decrypt.mock.calls.length).toBe(before)
  for (let index = 0; index < 3; index += 1)
    expect(await key.openSlurmToken({ token, digest })).toEqual({ token: SLURM_TOKEN, user: 'alice' })
  expect(decrypt.mock.calls.length).toBe(before + 1)
  // What was changed on the way does no harm: what goes by this digest is known.
  expect(await key.openSlurmToken({ token: 'changed', digest })).toMatchObject({ token: SLURM_TOKEN })
  const { jwe, digest: theirDigest } = await theirs(SLURM_TOKEN)
  expect(await key.openSlurmToken({ token: jwe, digest: theirDigest })).toBeNull()
  vi.restoreAllMocks()
})

test.each(['a.b', 'a.b.c', `a.${btoa('{}').replace('=', '')}.c`, `a.${btoa('{"sun":7}')}.c`, 'a b', ''])(
  '%o is no Slurm token, however well it was sealed',
  async (text) => {
    const key = await makeGateway()()
    const seal = await createAnswerKeyOpener(decryptionKeys)(key.encrypted)
    if (typeof seal !== 'function') throw new Error('no key')
    const { jwe: token, digest } = await seal(text)
    expect(await key.open(token)).toBe(text)
    expect(await key.openSlurmToken({ token, digest })).toBeNull()
  },
)
