/** Slurm tokens of a gateway without a key: when the signer is asked, what is kept, and for whom. */

import { beforeAll, beforeEach, expect, test } from 'vitest'
import { SLURM_TOKENS_KEPT } from '../../src/limits.ts'
import type { SignedForToken, Verdict } from '../../src/munge/verdict.ts'
import type { VerifierChannel } from '../../src/munge/verifier-channel.ts'
import type { TokenPrincipal } from '../../src/principal.ts'
import { refuse } from '../../src/refusal.ts'
import { concealText } from '../../src/secret.ts'
import {
  makeEncryptionKey,
  parseEncryptionKey,
  takePublicHalf,
  type EncryptionKey,
} from '../../src/signer/encryption-key.ts'
import { createRemoteSlurmTokenSource } from '../../src/signer/remote-slurm-tokens.ts'
import type { SlurmTokenSource } from '../../src/slurm-token.ts'
import { MUNGE_ALICE } from '../gateway/in-memory-ports.ts'

const NOW = 1_800_000_000
const ALICE: TokenPrincipal = {
  method: 'token',
  slurmUser: 'alice',
  tokenId: 'tok_aaaaaaaaaaaaaaaa',
  tokenName: 'palma',
  scopes: new Set(['slurm:read']),
  account: 'ownerlab',
  expiresAt: NOW + 1000,
  uid: 6001,
  policyVersion: 1,
  presented: concealText('what alice has', 'aa'),
}
const SIGNED: SignedForToken = {
  tokenId: ALICE.tokenId,
  slurmUser: 'alice',
  scopes: ['slurm:read'],
  account: 'OwnerLab',
  expiresAt: NOW + 1000,
  policyVersion: 1,
  slurmToken: { token: 'a.b.c', issuedAt: NOW, useUntil: NOW + 60 },
}

const world: { now: number; asked: number; encrypts: boolean; verdict: Verdict } = {
  now: NOW,
  asked: 0,
  encrypts: true,
  verdict: { kind: 'signed', signed: SIGNED },
}
let encryptionKey: EncryptionKey
let source: SlurmTokenSource
beforeAll(async () => {
  const parsed = parseEncryptionKey(JSON.stringify(takePublicHalf(await makeEncryptionKey())))
  if (typeof parsed === 'string') throw new Error(parsed)
  encryptionKey = parsed
})
beforeEach(() => {
  Object.assign(world, { now: NOW, asked: 0, encrypts: true, verdict: { kind: 'signed', signed: SIGNED } })
  source = createRemoteSlurmTokenSource({
    channel: buildChannel(),
    encryptionKey,
    maySharePromises: true,
    now: () => world.now * 1000,
  })
})

function buildChannel(): VerifierChannel {
  return {
    end: {
      signRequest: () => Promise.reject(new Error('not asked')),
      openAnswer: () => Promise.reject(new Error('not asked')),
      signTokenRequest: async (encrypt) => ({
        about: 'token',
        jws: 'j',
        nonce: 'n',
        signedAt: NOW,
        answerKey: null,
        isKeyNamed: false,
        encrypted: world.encrypts ? await encrypt({ nonce: 'n', answerKey: 'k', madeAt: NOW }) : 'e',
      }),
    },
    ask: () => {
      world.asked += 1
      const { verdict } = world
      return verdict.kind === 'outage' ? Promise.reject(new Error('outage')) : Promise.resolve(verdict)
    },
    check: () => Promise.resolve(),
    checkSigner: () => Promise.resolve(),
  }
}

const confirm = async (principal: TokenPrincipal): Promise<unknown> => source.confirm?.(principal)

test('the signer is asked once for half a life, however many ask at once', async () => {
  await Promise.all(Array.from({ length: 20 }, () => confirm(ALICE)))
  expect(await source.findToken(ALICE)).toBe('a.b.c')
  world.now = NOW + 60
  expect(await source.findToken(ALICE)).toBe('a.b.c')
  expect(world.asked).toBe(1)
  world.now = NOW + 61
  world.verdict = {
    kind: 'signed',
    signed: { ...SIGNED, slurmToken: { token: 'd.e.f', issuedAt: NOW + 61, useUntil: NOW + 121 } },
  }
  expect(await source.findToken(ALICE)).toBe('d.e.f')
  expect(world.asked).toBe(2)
})

test.each<[string, Partial<TokenPrincipal>]>([
  ['another token that was presented', { presented: concealText('what mallory has', 'bb') }],
  ['another user', { slurmUser: 'bob' }],
  ['no account', { account: null }],
  ['more scopes', { scopes: new Set(['slurm:read', 'slurm:jobs:manage']) }],
  ['a later end', { expiresAt: null }],
  ['another scope in place of one', { scopes: new Set(['slurmdb:read']) }],
  ['another uid', { uid: 6002 }],
  ['no uid', { uid: null }],
  ['another id', { tokenId: 'tok_bbbbbbbbbbbbbbbb' }],
  ['an issue under other rules', { policyVersion: 2 }],
])('a row that was written to is asked about anew, not served from memory: %s', async (_what, change) => {
  expect(await confirm(ALICE)).toBeNull()
  world.verdict = { kind: 'refusal', refusal: refuse('token_altered') }
  expect(await confirm({ ...ALICE, ...change })).toMatchObject({ rule: 'token_altered' })
  expect(world.asked).toBe(2)
})

test.each<[string, Partial<SignedForToken>]>([
  ['another id', { tokenId: 'tok_bbbbbbbbbbbbbbbb' }],
  ['another user', { slurmUser: 'bob' }],
  ['another account', { account: 'otherlab' }],
  ['no account', { account: null }],
  ['fewer scopes', { scopes: ['slurmdb:read'] }],
  ['another end', { expiresAt: null }],
])('where the signer reads %s than the gateway, nobody decides by it: an outage', async (_what, change) => {
  world.verdict = { kind: 'signed', signed: { ...SIGNED, ...change } }
  await expect(confirm(ALICE)).rejects.toMatchObject({ rule: 'signer_unavailable' })
})

test('where the signer finds no row that the gateway has just read, that is an outage, not a refusal', async () => {
  world.verdict = { kind: 'refusal', refusal: refuse('token_unknown') }
  await expect(confirm(ALICE)).rejects.toMatchObject({ rule: 'signer_unavailable' })
})

test('a refusal is kept for a second, so that who goes on presenting a refused token asks nobody', async () => {
  world.verdict = { kind: 'refusal', refusal: refuse('token_altered') }
  expect(await confirm(ALICE)).toMatchObject({ rule: 'token_altered' })
  world.verdict = { kind: 'signed', signed: SIGNED }
  world.now = NOW + 0.999
  for (let index = 0; index < 100; index += 1) {
    expect(await confirm(ALICE)).toMatchObject({ rule: 'token_altered' })
  }
  expect(world.asked).toBe(1)
  // Sealed anew: served a second later.
  world.now = NOW + 1
  expect(await confirm(ALICE)).toBeNull()
  expect(world.asked).toBe(2)
})

test('while the signer is asked, a request whose row says something else does not take that answer', async () => {
  // Which of the two is answered first is nobody's business.
  const [first, changed] = await Promise.allSettled([
    confirm(ALICE),
    confirm({ ...ALICE, expiresAt: NOW + 2000 }),
  ])
  expect(first).toEqual({ status: 'fulfilled', value: null })
  expect(changed).toMatchObject({ status: 'rejected', reason: { rule: 'signer_unavailable' } })
  expect(world.asked).toBe(2)
})

test('what is kept is told at once: a request that asks nobody waits for nobody', async () => {
  await confirm(ALICE)
  expect(source.confirm?.(ALICE)).toBeNull()
  world.now = NOW + 61
  world.verdict = { kind: 'refusal', refusal: refuse('token_altered') }
  await confirm(ALICE)
  expect(source.confirm?.(ALICE)).toMatchObject({ rule: 'token_altered' })
  expect(world.asked).toBe(2)
})

test('a refusal is one of this token and this row: another is asked about', async () => {
  world.verdict = { kind: 'refusal', refusal: refuse('token_altered') }
  await confirm(ALICE)
  world.verdict = { kind: 'signed', signed: { ...SIGNED, expiresAt: NOW + 2000 } }
  expect(await confirm({ ...ALICE, expiresAt: NOW + 2000 })).toBeNull()
  expect(await confirm(ALICE)).toMatchObject({ rule: 'token_altered' })
  expect(world.asked).toBe(2)
})

test('an outage is not kept', async () => {
  world.verdict = { kind: 'outage', rule: 'signer_unavailable' }
  await expect(confirm(ALICE)).rejects.toThrow('outage')
  world.verdict = { kind: 'signed', signed: SIGNED }
  expect(await confirm(ALICE)).toBeNull()
})

test('what is kept has a bound, and the oldest goes first: nobody loses his all at once', async () => {
  world.encrypts = false
  const present = (number: number): TokenPrincipal => ({
    ...ALICE,
    presented: concealText('what somebody has', String(number)),
  })
  for (let number = 0; number <= SLURM_TOKENS_KEPT; number += 1) await confirm(present(number))
  const asked = world.asked
  await confirm(present(1))
  await confirm(present(SLURM_TOKENS_KEPT))
  expect(world.asked).toBe(asked)
  await confirm(present(0))
  expect(world.asked).toBe(asked + 1)
})

test('a signer whose clock is ahead by what the exchange bears is served from at once', async () => {
  for (const seconds of [1, 5]) {
    world.now = NOW - seconds
    expect(await source.findToken(ALICE)).toBe('a.b.c')
  }
  expect(world.asked).toBe(1)
})

test('a MUNGE caller has what was signed for his credential, and nobody is asked', async () => {
  const principal = { ...MUNGE_ALICE, slurmToken: { token: 'm.m.m', issuedAt: NOW, useUntil: NOW + 60 } }
  expect(await source.confirm?.(principal)).toBeNull()
  expect(await source.findToken(principal)).toBe('m.m.m')
  await expect(source.findToken(MUNGE_ALICE)).rejects.toMatchObject({ rule: 'signer_unavailable' })
  world.now = NOW + 61
  await expect(source.findToken(principal)).rejects.toMatchObject({ rule: 'signer_unavailable' })
  expect(world.asked).toBe(0)
})
