/** Rows that were forged, altered or are from before, and users who are others by now: refused, and told to the operator. */

import { beforeEach, expect, test } from 'vitest'
import { Outage } from '../../src/refusal.ts'
import { createRowJudge } from '../../src/signer/row-judge.ts'
import type { FoundUid } from '../../src/tokens/identity-drift.ts'
import { sealRow, type SealedRow } from '../../src/tokens/row-seal.ts'

const KEY = new Uint8Array(32).fill(7)
const SEALED_AT = 1_800_000_000
const ROW: SealedRow = {
  id: 'tok_aaaaaaaaaaaaaaaa',
  digest: new Uint8Array(32).fill(1),
  slurmUser: 'alice',
  uid: 6001,
  account: 'ownerlab',
  scopes: ['slurm:read'],
  format: 'opaque',
  createdAt: SEALED_AT,
  expiresAt: SEALED_AT + 1000,
  revokedAt: null,
  replacedBy: null,
  policyVersion: 1,
  sealedAt: SEALED_AT,
  seal: null,
}

const world: { found: FoundUid | null; lines: Record<string, unknown>[]; now: number } = {
  found: null,
  lines: [],
  now: 0,
}
beforeEach(() => {
  world.now = SEALED_AT * 1000
  world.found = { uid: 6001, nameOfUid: 'alice' }
  world.lines = []
})

function judge(notBefore: number | null = null) {
  return createRowJudge({
    seals: { keys: [KEY], notBefore },
    findUid: () => Promise.resolve(world.found),
    minUid: 1000,
    now: () => world.now,
    log: { write: (level, event, fields) => void world.lines.push({ level, event, ...fields }) },
  })
}

const seal = async (change: Partial<SealedRow> = {}): Promise<SealedRow> => {
  const row = { ...ROW, ...change }
  return { ...row, seal: await sealRow(row, [KEY]) }
}

test('a row as its issuer wrote it, whose user is who it was, is let through without a word', async () => {
  expect(await judge()(await seal())).toBeNull()
  expect(world.lines).toEqual([])
})

test.each<[string, (row: SealedRow) => SealedRow, string, string]>([
  ['without a seal', (row) => ({ ...row, seal: null, sealedAt: null }), 'token_not_sealed', 'unsealed'],
  ['with another user', (row) => ({ ...row, slurmUser: 'bob' }), 'token_altered', 'altered'],
  [
    'with more scopes',
    (row) => ({ ...row, scopes: [...row.scopes, 'slurm:jobs:manage'] }),
    'token_altered',
    'altered',
  ],
  ['without its account', (row) => ({ ...row, account: null }), 'token_altered', 'altered'],
  ['with a later end', (row) => ({ ...row, expiresAt: null }), 'token_altered', 'altered'],
  [
    'under another digest',
    (row) => ({ ...row, digest: new Uint8Array(32).fill(2) }),
    'token_altered',
    'altered',
  ],
  ['with another uid', (row) => ({ ...row, uid: 6002 }), 'token_altered', 'altered'],
])('a row %s is refused and alarmed', async (_what, change, rule, problem) => {
  expect(await judge()(change(await seal()))).toMatchObject({ rule })
  expect(world.lines).toMatchObject([
    { level: 'error', event: 'token_row_refused', token_id: ROW.id, problem },
  ])
})

test('a row taken back is refused where its revocation was in the seal', async () => {
  const revoked = await seal({ revokedAt: SEALED_AT + 10 })
  expect(await judge()({ ...revoked, revokedAt: null })).toMatchObject({ rule: 'token_altered' })
})

test('a row from a backup of before TOKENS_NOT_BEFORE is refused and alarmed', async () => {
  expect(await judge(SEALED_AT)(await seal())).toBeNull()
  expect(await judge(SEALED_AT + 1)(await seal())).toMatchObject({ rule: 'token_sealed_too_early' })
  expect(world.lines).toMatchObject([{ problem: 'too_old' }])
})

test.each<[string, FoundUid | null, string]>([
  ['whose name was given to another uid', { uid: 6002, nameOfUid: 'alice' }, 'name_has_other_uid'],
  ['whose uid was given to another name', { uid: 6001, nameOfUid: 'mallory' }, 'uid_has_other_name'],
])('a user %s is refused and alarmed (identity drift)', async (_what, found, problem) => {
  world.found = found
  expect(await judge()(await seal())).toMatchObject({ rule: 'token_user_changed' })
  expect(world.lines).toMatchObject([{ level: 'error', problem }])
})

test('a user who stays away for a minute is gone: refused and alarmed', async () => {
  const [judgeRow, row] = [judge(), await seal()]
  world.found = null
  await expect(judgeRow(row)).rejects.toMatchObject({ rule: 'names_unavailable' })
  world.now += 60_000
  expect(await judgeRow(row)).toMatchObject({ rule: 'token_user_changed' })
  expect(world.lines).toMatchObject([{ level: 'error', problem: 'user_is_gone' }])
})

test('a directory that finds nobody for less than a minute is an outage, however often it is asked', async () => {
  const [judgeRow, row] = [judge(), await seal()]
  for (let round = 0; round < 3; round += 1) {
    world.found = null
    for (const milliseconds of [0, 30_000, 29_999]) {
      world.now += milliseconds
      await expect(judgeRow(row)).rejects.toMatchObject({ rule: 'names_unavailable' })
    }
    world.found = { uid: 6001, nameOfUid: 'alice' }
    expect(await judgeRow(row)).toBeNull()
  }
  expect(world.lines).toEqual([])
})

test('a row that does not say whose uid it is for is refused', async () => {
  expect(await judge()(await seal({ uid: null }))).toMatchObject({ rule: 'token_user_changed' })
  expect(world.lines).toMatchObject([{ problem: 'uid_unknown' }])
})

test('a uid below the least one is a daemon\u2019s or an administrator\u2019s: refused', async () => {
  world.found = { uid: 0, nameOfUid: 'alice' }
  expect(await judge()(await seal({ uid: 0 }))).toMatchObject({ rule: 'token_user_denied' })
})

test('a name service that does not answer is an outage, not a refusal', async () => {
  const asked = createRowJudge({
    seals: { keys: [KEY], notBefore: null },
    findUid: () => Promise.reject(new Outage('names_unavailable', 'down')),
    minUid: 1000,
    now: () => world.now,
    log: { write: () => undefined },
  })
  await expect(asked(await seal())).rejects.toMatchObject({ rule: 'names_unavailable' })
})
