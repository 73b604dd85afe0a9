/** Whom the signer signs for, and that it signs for nobody else. */

import { decodeJwt } from 'jose'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { SIGNER_LOOK_UPS_PER_SECOND } from '../../src/limits.ts'
import type { UnclaimedIdentity } from '../../src/ports.ts'
import { isRefusal, Outage, refuse, type Refusal } from '../../src/refusal.ts'
import type { DecryptionKey, EncryptionKey } from '../../src/signer/encryption-key.ts'
import { encryptToken } from '../../src/signer/encrypted-token.ts'
import type { SealAnswer } from '../../src/signer/answer-key.ts'
import { createSigner, type Signer, type SignerRow } from '../../src/signer/signer.ts'
import { createSlurmTokenMinter } from '../../src/slurm-token.ts'
import { createLocalReplayGuard } from '../../src/tokens/replay-guard.ts'
import { buildOpaqueToken, digestToken } from '../../src/tokens/token-form.ts'
import { makeSignerKeys } from './signer-keys.ts'

const NOW = 1_800_000_000_000
const NONCE = 'c29tZSBub25jZSBvZiAxNg=='
const ANSWER_KEY = 'e.n.c.r.y.p.t.e.d'
const CALL = { nonce: NONCE, answerKey: ANSWER_KEY }
/** What goes out is encrypted: here so that it can be read. */
const seal: SealAnswer = (text) => Promise.resolve({ jwe: `sealed ${text}`, digest: 'ab'.repeat(32) })
const TOKEN = buildOpaqueToken((length) => new Uint8Array(length).fill(7))
const ROW: SignerRow = {
  id: 'tok_aaaaaaaaaaaaaaaa',
  name: 'palma',
  slurmUser: 'alice',
  scopes: ['slurm:read'],
  account: 'ownerlab',
  expiresAt: NOW / 1000 + 1000,
  revokedAt: null,
  uid: 6001,
  policyVersion: 3,
}
const ALICE: UnclaimedIdentity = {
  user: 'alice',
  uid: 6001,
  credentialDigest: 'ab'.repeat(32),
  expiresAt: NOW / 1000 + 5,
  boundDigest: null,
}

let encryptionKey: EncryptionKey
let decryptionKeys: readonly DecryptionKey[]
beforeAll(async () => {
  ;({ encryptionKey, decryptionKeys } = await makeSignerKeys())
})

const world: {
  row: SignerRow | null
  problem: Refusal | null
  excess: Refusal | null
  lines: Record<string, unknown>[]
  minted: string[]
  storeFails: boolean
  guardFails: boolean
  looked: number
  now: number
} = {
  row: ROW,
  problem: null,
  excess: null,
  lines: [],
  minted: [],
  storeFails: false,
  guardFails: false,
  looked: 0,
  now: NOW,
}
let signer: Signer
let expectedDigest: string
beforeEach(async () => {
  Object.assign(world, { row: ROW, problem: null, excess: null, lines: [], minted: [] })
  Object.assign(world, { storeFails: false, guardFails: false, looked: 0, now: NOW })
  const guard = createLocalReplayGuard(() => NOW)
  expectedDigest = Buffer.from(await digestToken(TOKEN)).toString('hex')
  const minter = createSlurmTokenMinter({
    key: { algorithm: 'HS256', bytes: new Uint8Array(32) },
    lifespanSeconds: 120,
    deniedUsers: new Set(['root']),
    now: () => NOW,
  })
  signer = createSigner({
    decryptionKeys,
    minter: {
      mint: (user) => {
        world.minted.push(user)
        return minter.mint(user)
      },
    },
    tokens: {
      findByDigest: (digest) => {
        world.looked += 1
        if (world.storeFails) return Promise.reject(new Outage('token_store_unavailable', 'down'))
        return Promise.resolve(Buffer.from(digest).toString('hex') === expectedDigest ? world.row : null)
      },
      check: () => Promise.resolve(),
    },
    replays: {
      claim: (digest, expiresAt) =>
        world.guardFails
          ? Promise.reject(new Outage('replay_guard_unavailable', 'down'))
          : guard.claim(digest, expiresAt),
    },
    calls: createLocalReplayGuard(() => NOW),
    deniedUsers: new Set(['root', 'slurm']),
    checkRow: () => Promise.resolve(world.problem),
    limitRate: () => world.excess,
    now: () => world.now,
    log: { write: (level, event, fields) => void world.lines.push({ level, event, ...fields }) },
  })
})

function requireSealed(text: string): string {
  if (!text.startsWith('sealed ')) throw new Error('a Slurm token goes out in clear')
  return text.slice('sealed '.length)
}

const encrypt = (token: string): Promise<string> =>
  encryptToken(token, { ...CALL, madeAt: NOW / 1000 }, encryptionKey)

async function ask(token: string = TOKEN): Promise<unknown> {
  const outcome = await signer.signForToken(await encrypt(token), CALL, seal)
  return isRefusal(outcome) ? outcome.rule : outcome
}

describe('for an API token', () => {
  test('the user of its own row gets a Slurm token of 120 s, with the policy version of the row', async () => {
    const outcome = await signer.signForToken(await encrypt(TOKEN), CALL, seal)
    if (isRefusal(outcome)) throw new Error(outcome.rule)
    expect(outcome).toMatchObject({ tokenId: ROW.id, slurmUser: 'alice', policyVersion: 3 })
    expect(decodeJwt(requireSealed(outcome.slurmToken.token))).toEqual({
      sun: 'alice',
      iat: NOW / 1000,
      exp: NOW / 1000 + 120,
    })
    expect(world.lines).toEqual([
      {
        level: 'audit',
        event: 'signer_decision',
        outcome: 'signed',
        rule: null,
        method: 'token',
        user: 'alice',
        token_id: ROW.id,
        policy_version: 3,
      },
    ])
    expect(JSON.stringify(world.lines)).not.toContain(TOKEN)
  })

  test.each<[string, Partial<SignerRow> | null, string]>([
    ['has no row', null, 'token_unknown'],
    ['was revoked', { revokedAt: 1 }, 'token_revoked'],
    ['has expired', { expiresAt: NOW / 1000 }, 'token_expired'],
    ['is of a denied user', { slurmUser: 'Root' }, 'token_user_denied'],
  ])('that %s: refused, and nothing is signed', async (_what, change, rule) => {
    world.row = change === null ? null : { ...ROW, ...change }
    expect(await ask()).toBe(rule)
    expect(world.minted).toEqual([])
    expect(world.lines).toMatchObject([{ level: 'audit', outcome: 'refused', rule }])
  })

  test('a row that is not as its issuer wrote it is refused, and nothing is signed', async () => {
    world.problem = refuse('token_unknown')
    expect(await ask()).toBe('token_unknown')
    expect(world.minted).toEqual([])
  })

  test('one user at a time has a bound', async () => {
    world.excess = refuse('token_unknown')
    expect(await ask()).toBe('token_unknown')
    expect(world.minted).toEqual([])
  })

  test.each([
    ['is another one', buildOpaqueToken((length) => new Uint8Array(length).fill(8)), 'token_unknown'],
    ['has a wrong checksum', `${TOKEN.slice(0, -1)}_`, 'token_malformed'],
    ['is a Slurm token', 'eyJhbGciOiJIUzI1NiJ9.eyJzdW4iOiJhbGljZSJ9.AAAA', 'slurm_token_presented'],
  ])('that %s: refused, and nothing is signed', async (_what, token, rule) => {
    expect(await ask(token)).toBe(rule)
    expect(world.minted).toEqual([])
  })

  test('encrypted for another request, or for nobody, is an outage: nobody said no, nobody said yes', async () => {
    for (const [encrypted, nonce] of [
      [await encrypt(TOKEN), 'another'],
      ['x.y.z', NONCE],
      ['x'.repeat(20_000), NONCE],
    ] as const) {
      await expect(signer.signForToken(encrypted, { ...CALL, nonce }, seal)).rejects.toMatchObject({
        rule: 'signer_unavailable',
      })
    }
    expect(world.minted).toEqual([])
    expect(world.lines).toHaveLength(3)
  })

  test('a call that was recorded is worth nothing again, at once or later (replay)', async () => {
    const encrypted = await encrypt(TOKEN)
    expect(isRefusal(await signer.signForToken(encrypted, CALL, seal))).toBe(false)
    await expect(signer.signForToken(encrypted, CALL, seal)).rejects.toMatchObject({
      rule: 'signer_unavailable',
    })
    const call = { ...CALL, nonce: 'b2xkZXI=' }
    const old = await encryptToken(TOKEN, { ...call, madeAt: NOW / 1000 - 6 }, encryptionKey)
    await expect(signer.signForToken(old, call, seal)).rejects.toMatchObject({ rule: 'signer_unavailable' })
    expect(world.minted).toEqual(['alice'])
  })

  test('what one signer looks up in a second is bounded, whoever asks and whatever is presented', async () => {
    const limit = 2 * SIGNER_LOOK_UPS_PER_SECOND
    for (let index = 0; index < limit; index += 1) {
      await expect(signer.signForToken('x.y.z', CALL, seal)).rejects.toMatchObject({
        rule: 'signer_unavailable',
      })
    }
    world.lines = []
    await expect(ask()).rejects.toMatchObject({ rule: 'signer_unavailable' })
    expect(world.looked).toBe(0)
    expect(world.lines).toMatchObject([
      { outcome: 'outage', detail: 'more than 2000 API tokens in a second' },
    ])
    world.now = NOW + 1000
    expect(await ask()).toMatchObject({ slurmUser: 'alice' })
    expect(world.looked).toBe(1)
  })

  test('a store that does not answer is an outage with its line', async () => {
    world.storeFails = true
    await expect(ask()).rejects.toMatchObject({ rule: 'token_store_unavailable' })
    expect(world.lines).toMatchObject([
      { level: 'error', outcome: 'outage', rule: 'token_store_unavailable' },
    ])
  })
})

describe('for a MUNGE credential that was verified', () => {
  test('its user gets a Slurm token, once: the credential is claimed before anything is signed', async () => {
    const first = await signer.signForMunge(ALICE, seal)
    expect(isRefusal(first) ? first.rule : decodeJwt(requireSealed(first.slurmToken.token))['sun']).toBe(
      'alice',
    )
    expect(await signer.signForMunge(ALICE, seal)).toMatchObject({ rule: 'munge_replayed' })
    expect(world.minted).toEqual(['alice'])
    // What was signed stands in the line of who verified the credential.
    const credential = ALICE.credentialDigest.slice(0, 16)
    const who = { event: 'signer_decision', method: 'munge', user: 'alice', uid: 6001, credential }
    expect(world.lines).toEqual([{ ...who, level: 'audit', outcome: 'refused', rule: 'munge_replayed' }])
  })

  test('where it cannot be claimed, that is an outage with its line, and nothing is signed', async () => {
    world.guardFails = true
    await expect(signer.signForMunge(ALICE, seal)).rejects.toMatchObject({ rule: 'replay_guard_unavailable' })
    expect(world.minted).toEqual([])
    expect(world.lines).toMatchObject([
      { level: 'error', event: 'signer_decision', outcome: 'outage', rule: 'replay_guard_unavailable' },
    ])
  })

  test('a denied user gets none', async () => {
    expect(await signer.signForMunge({ ...ALICE, user: 'Slurm' }, seal)).toMatchObject({
      rule: 'munge_user_denied',
    })
    expect(world.minted).toEqual([])
  })

  test('a user over his bound gets none, and keeps his credential', async () => {
    world.excess = refuse('munge_replayed')
    expect(isRefusal(await signer.signForMunge(ALICE, seal))).toBe(true)
    world.excess = null
    expect(isRefusal(await signer.signForMunge(ALICE, seal))).toBe(false)
  })
})
