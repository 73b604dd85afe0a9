/** `slurmgate db seal`, against a real Postgres: rows of before are sealed once, and what is wrong is told and left alone. */

import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openDatabase, type OpenDatabase } from '../../src/tokens/database.ts'
import { revokeToken } from '../../src/tokens/revoke-token.ts'
import { findSealProblem } from '../../src/tokens/row-seal.ts'
import { createSealedTokenStore } from '../../src/tokens/sealed-token-store.ts'
import { checkSeals, sealRows } from '../../src/tokens/seal-rows.ts'
import { runCli } from '../support/cli.ts'
import { stopOwnPostgres } from '../support/postgres.ts'
import { buildTokenRow, createTokenDatabase, type TokenDatabase } from '../support/token-database.ts'

const KEY = new Uint8Array(32).fill(5)
const seals = { keys: [KEY], notBefore: null }
const ID = 'tok_aaaaaaaaaaaaaaaa'

let store: TokenDatabase
let database: OpenDatabase
let folder: string
beforeAll(async () => {
  store = await createTokenDatabase()
  database = openDatabase(store.url, { max: 8 })
  folder = mkdtempSync(join(tmpdir(), 'slurmgate-seal-'))
  writeFileSync(join(folder, 'key'), Buffer.from(KEY).toString('base64'))
  chmodSync(join(folder, 'key'), 0o600)
})
beforeEach(() => store.sql`truncate api_tokens`)
afterAll(async () => {
  rmSync(folder, { recursive: true })
  await database.close()
  await store.sql.end()
  await stopOwnPostgres()
})

const run = (parameters: readonly string[], more: Readonly<Record<string, string>> = {}) =>
  runCli(['db', 'seal', ...parameters], {
    environment: { DATABASE_URL: store.url, TOKEN_KEY_FILE: join(folder, 'key'), ...more },
  })

const insert = (change: Readonly<Record<string, unknown>> = {}) =>
  store.sql`insert into api_tokens ${store.sql(buildTokenRow(change))}`

/** Rows of before there were seals, with microseconds as SQL writes them; every third revoked. */
const insertMany = (rows: number) => store.sql`
  insert into api_tokens (id, name, slurm_user, digest, scopes, format, created_at, revoked_at, issued_by)
  select 'tok_' || translate(lpad(to_hex(n), 16, 'z'), '0189', 'ghij'), 'n', 'alice', decode(lpad(to_hex(n), 64, '0'), 'hex'),
    '{slurm:read}', 'opaque', clock_timestamp(), case when n % 3 = 0 then clock_timestamp() end, 'operator'
  from generate_series(1, ${rows}) n`

async function judge(digest: Uint8Array = new Uint8Array(32).fill(7)): Promise<string> {
  const record = await createSealedTokenStore(database.db).findSealedByDigest(digest)
  return record === null ? 'unknown' : ((await findSealProblem(record, seals)) ?? 'intact')
}

const dump = () => store.sql`select * from api_tokens order by id`
const sealed = { exitCode: 0, stdout: 'sealed 1 row\n', stderr: '' }

describe('db seal', () => {
  it('seals the rows of before, in portions, and again it changes nothing', async () => {
    await insertMany(250)
    expect(await run([])).toEqual({ exitCode: 0, stdout: 'sealed 250 rows\n', stderr: '' })
    const rows = await dump()
    expect(await checkSeals(database.db, seals)).toEqual({ findings: [], rowsByKey: [250] })
    expect(await run([])).toEqual({ exitCode: 0, stdout: 'sealed 0 rows\n', stderr: '' })
    expect(JSON.parse((await run(['--json'])).stdout)).toEqual({ sealed: 0, renewed: 0, left_alone: [] })
    expect(await dump()).toEqual(rows)
  })

  it('has nothing to do in an empty table', async () => {
    expect((await run([])).stdout).toBe('sealed 0 rows\n')
    expect(await run(['--check'])).toMatchObject({ exitCode: 0, stdout: 'every row is sealed and as it was sealed\n' })
  })

  it('leaves an altered row alone, seals the others, and fails', async () => {
    await insert()
    expect(await run([])).toEqual(sealed)
    await store.sql`update api_tokens set scopes = '{slurm:read}'`
    await insert({ id: 'tok_bbbbbbbbbbbbbbbb', digest: Buffer.alloc(32, 8) })
    const { exitCode, stdout, stderr } = await run([])
    expect([exitCode, stdout]).toEqual([1, 'sealed 1 row\n'])
    expect(stderr).toBe('slurmgate: 1 row left alone; which, says: slurmgate db seal --check\n')
    expect([await judge(), await judge(new Uint8Array(32).fill(8))]).toEqual(['altered', 'intact'])
  })

  it('leaves a row from before TOKENS_NOT_BEFORE alone', async () => {
    await insert()
    await run([])
    const before = await dump()
    const later = { TOKENS_NOT_BEFORE: '2999-01-01T00:00:00Z' }
    expect((await run([], later)).exitCode).toBe(1)
    expect((await run(['--check'], later)).stdout).toMatch(/too_old/)
    expect(await dump()).toEqual(before)
  })

  it('seals no row with a time without end, and the others all the same', async () => {
    await insert({ id: 'tok_bbbbbbbbbbbbbbbb', digest: Buffer.alloc(32, 8) })
    await insert()
    await store.sql`update api_tokens set expires_at = 'infinity' where id = ${ID}`
    expect(await run([])).toMatchObject({ exitCode: 1, stdout: 'sealed 1 row\n' })
    expect((await run(['--id', ID, '--reseal'])).stderr).toMatch(/has a value that no token has: revoke it\n$/)
    expect([await judge(), await judge(new Uint8Array(32).fill(8))]).toEqual(['unsealed', 'intact'])
  })

  it('keeps what was done where a later portion cannot be', async () => {
    await insertMany(250)
    const { sql } = store
    await sql`create function fail() returns trigger language plpgsql as $$ begin raise 'no'; end $$`
    await sql`create trigger fail before update on api_tokens for each row when (new.digest = decode(lpad(to_hex(250), 64, '0'), 'hex')) execute function fail()`
    expect((await run([])).exitCode).toBe(1)
    await sql`drop function fail cascade`
    const done = (await sql`select 1 from api_tokens where seal is not null`).length
    expect(done % 100).toBe(0)
    expect((await run([])).stdout).toBe(`sealed ${String(250 - done)} rows\n`)
  })
}) // prettier-ignore

describe('db seal --check', () => {
  it('lists the rows whose seal is wrong or missing, changes nothing, and fails', async () => {
    await insert()
    await run([])
    await store.sql`update api_tokens set slurm_user = 'bob'`
    await insert({ id: 'tok_bbbbbbbbbbbbbbbb', digest: Buffer.alloc(32, 8), revoked_at: new Date() })
    const before = await dump()
    const { exitCode, stdout, stderr } = await run(['--check'])
    expect([exitCode, stderr]).toEqual([1, ''])
    expect(stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['ID', 'NAME', 'USER', 'STATE', 'SEAL'],
      [ID, 'nightly', 'bob', 'active', 'altered'],
      ['tok_bbbbbbbbbbbbbbbb', 'nightly', 'alice', 'revoked', 'unsealed'],
      [''],
    ])
    const json = await run(['--check', '--json'])
    expect([json.exitCode, JSON.parse(json.stdout)]).toMatchObject([1, { findings: [{ id: ID, seal: 'altered' }, {}] }])
    expect(await dump()).toEqual(before)
  })
}) // prettier-ignore

describe('the commands in README.md', () => {
  it('find the rows of before, and seal them', async () => {
    await insert()
    const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
    const [, section = ''] = /<!-- sealing:begin -->\n```\n((?:.*\n)+?)```/.exec(readme) ?? []
    const commands = section.trim().split('\n').map((line) => line.replace(/ +#.*/, '').split(' ').slice(3))
    const outcomes = []
    for (const command of [...commands, ['--check']]) outcomes.push((await run(command)).exitCode)
    expect([commands, outcomes]).toEqual([[['--check'], []], [1, 0, 0]])
  })
}) // prettier-ignore

describe('db seal --id', () => {
  it('seals that row only, once', async () => {
    await insert()
    await insert({ id: 'tok_bbbbbbbbbbbbbbbb', digest: Buffer.alloc(32, 8) })
    expect((await run(['--id', ID])).stdout).toBe(
      `sealed ${ID}: nightly, alice (uid unknown), account phys, slurm:read,slurm:jobs:manage, ends 2030-01-01 00:00 UTC\n`,
    )
    expect((await run(['--id', ID])).stdout).toBe(`${ID} was sealed before\n`)
    expect([await judge(), await judge(new Uint8Array(32).fill(8))]).toEqual(['intact', 'unsealed'])
  })

  it('does not seal an altered row anew, unless told to with --reseal', async () => {
    await insert()
    await run([])
    await store.sql`update api_tokens set account = null`
    const before = await dump()
    const refused = await run(['--id', ID])
    expect([refused.exitCode, refused.stdout]).toEqual([1, ''])
    expect(refused.stderr).toMatch(/is not as it was sealed.*nothing was changed; .* --id tok_a+ --reseal\n$/)
    expect(await dump()).toEqual(before)
    const vouched = await run(['--id', ID, '--reseal', '--json'])
    expect([JSON.parse(vouched.stdout), await judge()]).toEqual([{ id: ID, outcome: 'sealed' }, 'intact'])
  })

  it('seals a row that is too old anew with --reseal, as of now', async () => {
    await insert()
    await run([])
    await store.sql`update api_tokens set seal = null, sealed_at = null`
    const early = { clock: () => Date.parse('2020-01-01T00:00:00Z'), seals }
    await sealRows(database.db, early)
    const later = { TOKENS_NOT_BEFORE: '2021-01-01T00:00:00Z' }
    expect((await run(['--id', ID], later)).exitCode).toBe(1)
    expect((await run(['--id', ID, '--reseal'], later)).exitCode).toBe(0)
    expect((await run(['--check'], later)).exitCode).toBe(0)
  })

  it.each<[readonly string[], number, RegExp]>([
    [['--reseal'], 2, /--reseal is for one row/],
    [['--check', '--id', ID], 2, /--check takes neither/],
    [['--check', '--reseal'], 2, /--check takes neither/],
    [['--id', `slg_${'a'.repeat(49)}`], 2, /looks like tok_/],
    [['--id', ID], 1, /there is no token tok_a+$/m],
    [['all'], 2, /more arguments/],
  ])('is refused as %j', async (parameters, code, message) => {
    const { exitCode, stdout, stderr } = await run(parameters)
    expect([exitCode, stdout, stderr]).toEqual([code, '', expect.stringMatching(message)])
    expect(stderr).not.toContain('slg_')
  })

  it('needs a key', async () => {
    const { exitCode, stderr } = await run([], { TOKEN_KEY_FILE: '' })
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('TOKEN_KEY_FILE is required')])
  })
})

describe('sealing while tokens are revoked', () => {
  it.each<[string, typeof seals | null]>([
    ['with the key', seals],
    ['without it', null],
  ])('%s: every token is revoked, and every seal is of the row as it is or is known to be broken', async (_, its) => {
    await insertMany(120)
    const ids = (await store.sql<{ id: string }[]>`select id from api_tokens where revoked_at is null order by id`).map(({ id }) => id)
    const clock = () => Date.now()
    const [reports, revocations] = await Promise.all([
      Promise.all([sealRows(database.db, { clock, seals }), sealRows(database.db, { clock, seals })]),
      Promise.all(ids.map((id) => revokeToken(database.db, id, { clock, seals: its }))),
    ])
    expect(reports.reduce((total, { sealed }) => total + sealed, 0)).toBe(120)
    expect(revocations.filter(({ outcome }) => outcome !== 'revoked')).toEqual([])
    expect(await store.sql`select 1 from api_tokens where revoked_at is null`).toHaveLength(0)
    const broken = ids.filter((_id, index) => revocations[index]?.sealProblem === 'key_missing')
    const { findings } = await checkSeals(database.db, seals)
    expect(findings.map(({ token, problem }) => [token.id, problem])).toEqual(broken.map((id) => [id, 'altered']))
    if (its !== null) expect(findings).toEqual([])
  })
}) // prettier-ignore
