/** Sealed rows in a real Postgres: what somebody who can write the table, and has no key, is found out by. */

import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Outage } from '../../src/refusal.ts'
import { openDatabase, type Database, type OpenDatabase } from '../../src/tokens/database.ts'
import { issueToken } from '../../src/tokens/issue-token.ts'
import type { IssueOrder } from '../../src/tokens/issue-rules.ts'
import { revokeToken } from '../../src/tokens/revoke-token.ts'
import { rotateToken } from '../../src/tokens/rotate-token.ts'
import { findSealProblem, sealRow } from '../../src/tokens/row-seal.ts'
import { createSealedTokenStore } from '../../src/tokens/sealed-token-store.ts'
import { sealRows } from '../../src/tokens/seal-rows.ts'
import { digestToken } from '../../src/tokens/token-form.ts'
import { createTokenStore } from '../../src/tokens/token-store.ts'
import { stopOwnPostgres } from '../support/postgres.ts'
import { buildTokenRow, createTokenDatabase, type TokenDatabase } from '../support/token-database.ts'

/** Not on a whole second, as clocks are. */
const NOW = Date.parse('2027-03-02T00:00:00.400Z')
const seals = { keys: [new Uint8Array(32).fill(1)], notBefore: null }
const ports = {
  clock: () => NOW,
  seals,
  randomBytes: (length: number) => new Uint8Array(randomBytes(length)),
}

const ORDER: IssueOrder = {
  kind: 'issue-order',
  name: 'nightly',
  slurmUser: 'alice',
  scopes: ['slurm:jobs:manage', 'slurm:read'],
  account: 'phys',
  expiresAt: NOW / 1000 + 90 * 86_400 - 0.4,
  form: { format: 'opaque' },
  issuedBy: 'operator',
}

let store: TokenDatabase
let database: OpenDatabase
beforeAll(async () => {
  store = await createTokenDatabase()
  database = openDatabase(store.url)
})
beforeEach(() => store.sql`truncate api_tokens`)
afterAll(async () => {
  await database.close()
  await store.sql.end()
  await stopOwnPostgres()
})

async function issue(change: Partial<IssueOrder> = {}): Promise<{ id: string; digest: Uint8Array }> {
  const issued = await issueToken(database.db, { ...ORDER, ...change }, 6001, ports)
  if (issued.kind !== 'issued') throw new Error('duplicate')
  return { id: issued.id, digest: await digestToken(issued.token) }
}

const find = (digest: Uint8Array) => createSealedTokenStore(database.db).findSealedByDigest(digest)

/** What the row of this digest is: `intact`, `unknown`, or what is wrong with its seal. */
async function judge(digest: Uint8Array, notBefore: number | null = null): Promise<string> {
  const record = await find(digest)
  return record === null ? 'unknown' : ((await findSealProblem(record, { ...seals, notBefore })) ?? 'intact')
}

describe('the sealed token store', () => {
  it('gives the record of the token store, and all that the seal covers', async () => {
    const { id, digest } = await issue()
    const record = await find(digest)
    expect(record).toMatchObject((await createTokenStore(database.db).findByDigest(digest)) ?? {})
    expect(record).toEqual({
      id,
      name: 'nightly',
      digest: Buffer.from(digest),
      slurmUser: 'alice',
      uid: 6001,
      account: 'phys',
      scopes: ['slurm:jobs:manage', 'slurm:read'],
      format: 'opaque',
      createdAt: Math.floor(NOW / 1000),
      expiresAt: ORDER.expiresAt,
      revokedAt: null,
      replacedBy: null,
      policyVersion: 1,
      sealedAt: Math.floor(NOW / 1000),
      seal: Buffer.from(record?.seal ?? []),
    })
    expect(record?.seal).toHaveLength(32)
    expect(await find(new Uint8Array(32))).toBeNull()
  })

  it('takes no row of another token, however intact: that is an outage', async () => {
    const { digest } = await issue()
    const { digest: other } = await issue({ slurmUser: 'bob' })
    const row = await store.sql`select digest from api_tokens where digest = ${Buffer.from(other)}`
    const record = { ...(await find(other)), ...row[0], createdAt: new Date(), expiresAt: null }
    const lying: Database = { query: () => Promise.resolve([{ ...record, sealedAt: new Date() }] as never) }
    const failure: unknown = await createSealedTokenStore(lying)
      .findSealedByDigest(digest)
      .catch((error: unknown) => error)
    expect(failure instanceof Outage ? failure.rule : failure).toBe('token_store_unavailable')
  })

  it('is an outage where the database does not answer', async () => {
    const { db, close } = openDatabase(store.url)
    await close()
    await expect(createSealedTokenStore(db).findSealedByDigest(new Uint8Array(32))).rejects.toThrow(Outage)
  })
})

describe('the gateway’s own token store', () => {
  it('has no key, and finds rows as they stand: without a seal, and with a wrong one', async () => {
    const { digest } = await issue()
    await store.sql`update api_tokens set scopes = '{slurm:read}'`
    await store.sql`insert into api_tokens ${store.sql(buildTokenRow())}`
    const tokens = createTokenStore(database.db)
    expect(await tokens.findByDigest(digest)).toMatchObject({ scopes: ['slurm:read'] })
    expect(await tokens.findByDigest(new Uint8Array(32).fill(7))).toMatchObject({ slurmUser: 'alice' })
  })
})

describe('what was sealed is what is read back', () => {
  it.each<[string, Partial<IssueOrder>]>([
    ['for any account', { account: null }],
    ['without an end', { expiresAt: null }],
    ['in JWT form', { form: { format: 'jwt' } }],
    ['imported', { form: { format: 'imported', token: 'x'.repeat(40) } }],
    ['of a name in any letters', { name: 'Zürich "§" \\ 東京' }],
  ])('of a token %s', async (_, change) => {
    expect(await judge((await issue(change)).digest)).toBe('intact')
  })

  it('of a token that is revoked between two seconds', async () => {
    const { id, digest } = await issue()
    expect(await revokeToken(database.db, id, ports)).toEqual({ outcome: 'revoked', sealProblem: null })
    expect(await judge(digest)).toBe('intact')
    expect((await find(digest))?.revokedAt).toBe(Math.floor(NOW / 1000))
  })

  it.each([0, 60, 400 * 86_400])('of both tokens of a rotation with %i s of grace', async (graceSeconds) => {
    const { id, digest } = await issue()
    const plan = { graceSeconds, buildOrder: () => ORDER, foundUid: null }
    const rotated = await rotateToken(database.db, id, plan, ports)
    if (rotated?.kind !== 'rotated') throw new Error('not rotated')
    expect(await judge(digest)).toBe('intact')
    expect(await judge(await digestToken(rotated.issued.token))).toBe('intact')
    expect(await find(digest)).toMatchObject({ replacedBy: rotated.issued.id })
    expect(await find(await digestToken(rotated.issued.token))).toMatchObject({ uid: 6001 })
  })

  it('of a row with microseconds, which somebody wrote in SQL', async () => {
    const { sql } = store
    await sql`insert into api_tokens ${sql(buildTokenRow())}`
    await sql`update api_tokens set created_at = '2027-01-01 00:00:00.999999Z', expires_at = '2027-09-09 09:09:09.999999Z', revoked_at = '2027-08-08 08:08:08.000001Z'`
    await sealRows(database.db, ports)
    expect(await judge(new Uint8Array(32).fill(7))).toBe('intact')
  })

  it('in a session with another time zone', async () => {
    const { digest } = await issue()
    const [name] = await store.sql<{ name: string }[]>`select current_database() as name`
    await store.sql`alter database ${store.sql(name?.name ?? '')} set timezone = 'Asia/Kolkata'`
    const other = openDatabase(store.url)
    const record = await createSealedTokenStore(other.db).findSealedByDigest(digest)
    await other.close()
    expect(record === null ? null : await findSealProblem(record, seals)).toBeNull()
  })
})

describe('a row that was changed in SQL is altered:', () => {
  it.each<[string, Readonly<Record<string, unknown>>]>([
    ['slurm_user', { slurm_user: 'bob' }],
    ['uid', { uid: 0 }],
    ['uid', { uid: null }],
    ['account', { account: 'chem' }],
    ['account', { account: null }],
    ['scopes', { scopes: ['slurm:jobs:manage', 'slurm:read', 'slurmdb:read'] }],
    ['scopes', { scopes: ['slurm:read', 'slurm:jobs:manage'] }],
    ['format', { format: 'imported' }],
    ['created_at', { created_at: new Date(NOW - 86_400_000) }],
    ['expires_at', { expires_at: new Date(NOW + 400 * 86_400_000) }],
    ['expires_at', { expires_at: null }],
    ['revoked_at', { revoked_at: new Date(NOW) }],
    ['replaced_by', { replaced_by: 'tok_bbbbbbbbbbbbbbbb' }],
    ['policy_version', { policy_version: 2 }],
    ['sealed_at', { sealed_at: new Date(NOW + 1000) }],
    ['seal', { seal: Buffer.alloc(32) }],
  ])('%s', async (_, change) => {
    const { id, digest } = await issue()
    expect(await judge(digest)).toBe('intact')
    await store.sql`update api_tokens set ${store.sql(change)} where id = ${id}`
    expect(await judge(digest)).toBe('altered')
  })

  it.each(['expires_at', 'sealed_at', 'revoked_at'])('%s, to a time without end', async (column) => {
    const { digest } = await issue()
    await store.sql`update api_tokens set ${store.sql(column)} = 'infinity'::timestamptz`
    expect(await judge(digest)).toBe('altered')
  })

  it('id', async () => {
    const { digest } = await issue()
    await store.sql`update api_tokens set id = 'tok_bbbbbbbbbbbbbbbb'`
    expect(await judge(digest)).toBe('altered')
  })

  it('digest, which would make it the row of a token that the attacker has', async () => {
    await issue()
    const own = new Uint8Array(32).fill(9)
    await store.sql`update api_tokens set digest = ${Buffer.from(own)}`
    expect(await judge(own)).toBe('altered')
  })

  it('a revocation or an end that was taken back', async () => {
    const { id, digest } = await issue()
    await revokeToken(database.db, id, ports)
    await store.sql`update api_tokens set revoked_at = null`
    expect(await judge(digest)).toBe('altered')
  })

  it('a copy under another id and digest', async () => {
    await issue()
    const own = new Uint8Array(32).fill(9)
    await store.sql`insert into api_tokens select (json_populate_record(t, json_build_object('id', 'tok_bbbbbbbbbbbbbbbb', 'digest', ${'\\x' + '09'.repeat(32)}::text))).* from api_tokens t`
    expect(await judge(own)).toBe('altered')
  })

  it('two rows whose seals were swapped', async () => {
    const [one, two] = [await issue(), await issue({ slurmUser: 'bob' })]
    await store.sql`update api_tokens t set seal = o.seal, sealed_at = o.sealed_at from api_tokens o where o.id <> t.id`
    expect([await judge(one.digest), await judge(two.digest)]).toEqual(['altered', 'altered'])
  })

  it('one that was sealed with a key of the attacker’s', async () => {
    const { digest } = await issue()
    const forged = await find(digest)
    if (forged === null) throw new Error('no row')
    const seal = await sealRow({ ...forged, slurmUser: 'bob' }, [new Uint8Array(32).fill(3)])
    await store.sql`update api_tokens set slurm_user = 'bob', seal = ${Buffer.from(seal)}`
    expect(await judge(digest)).toBe('altered')
  })
})

describe('a row without a seal is unsealed:', () => {
  it('one that was written in SQL', async () => {
    await store.sql`insert into api_tokens ${store.sql(buildTokenRow())}`
    expect(await judge(new Uint8Array(32).fill(7))).toBe('unsealed')
  })

  it('one whose seal was taken off', async () => {
    const { digest } = await issue()
    await store.sql`update api_tokens set seal = null, sealed_at = null, slurm_user = 'bob'`
    expect(await judge(digest)).toBe('unsealed')
  })
})

describe('a row that was put back as it once was', () => {
  it('is intact, for seals do not know the time; TOKENS_NOT_BEFORE makes it too old', async () => {
    const { id, digest } = await issue()
    const [old] = await store.sql`select * from api_tokens`
    const later = { ...ports, clock: () => NOW + 3_600_000 }
    await revokeToken(database.db, id, later)
    await store.sql`truncate api_tokens`
    await store.sql`insert into api_tokens ${store.sql(old ?? {})}`
    expect(await judge(digest)).toBe('intact')
    expect(await judge(digest, NOW / 1000 + 1800)).toBe('too_old')
  })

  it('counts again once it is sealed anew, which a change of a row that is too old does not do', async () => {
    const { id, digest } = await issue()
    const late = { ...ports, seals: { ...seals, notBefore: NOW / 1000 + 1800 }, clock: () => NOW + 3_600_000 }
    const plan = { graceSeconds: 60, buildOrder: () => ORDER, foundUid: null }
    expect(await rotateToken(database.db, id, plan, late)).toEqual({
      kind: 'seal-problem',
      problem: 'too_old',
    })
    expect(await revokeToken(database.db, id, late)).toEqual({ outcome: 'revoked', sealProblem: 'too_old' })
    expect(await judge(digest)).toBe('altered')
  })
})

describe('a command seals what it means, not what the database echoes', () => {
  it('where a trigger puts another user into a new row', async () => {
    const { sql } = store
    await sql`create function usurp() returns trigger language plpgsql as $$ begin new.slurm_user := 'bob'; return new; end $$`
    await sql`create trigger usurp before insert or update on api_tokens for each row execute function usurp()`
    try {
      const { id, digest } = await issue()
      expect([(await find(digest))?.slurmUser, await judge(digest)]).toEqual(['bob', 'altered'])
      await revokeToken(database.db, id, ports)
      expect(await judge(digest)).toBe('altered')
    } finally {
      await sql`drop trigger usurp on api_tokens`
      await sql`drop function usurp`
    }
  })
})
