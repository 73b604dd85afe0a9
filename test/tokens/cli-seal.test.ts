/** The command line with and without `TOKEN_KEY_FILE`, against a real Postgres: what is sealed, what is refused. */

import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openDatabase } from '../../src/tokens/database.ts'
import { findSealProblem, type RowKeys } from '../../src/tokens/row-seal.ts'
import { createSealedTokenStore } from '../../src/tokens/sealed-token-store.ts'
import { digestToken } from '../../src/tokens/token-form.ts'
import { runCli, type CliOptions } from '../support/cli.ts'
import { stopOwnPostgres } from '../support/postgres.ts'
import { createTokenDatabase, type TokenDatabase } from '../support/token-database.ts'

const NEW = [
  'token',
  'issue',
  '--name',
  'nightly',
  '--user',
  'alice',
  '--account',
  'phys',
  '--scope',
  'slurm:read',
]
const [KEY, NEXT_KEY] = [new Uint8Array(randomBytes(32)), new Uint8Array(randomBytes(32))]

let store: TokenDatabase
let folder: string
let keyFile: string
beforeAll(async () => {
  store = await createTokenDatabase()
  folder = mkdtempSync(join(tmpdir(), 'slurmgate-seal-'))
  keyFile = writeKeys('key', KEY)
})
beforeEach(() => store.sql`truncate api_tokens`)
afterAll(async () => {
  rmSync(folder, { recursive: true })
  await store.sql.end()
  await stopOwnPostgres()
})

function writeKeys(name: string, ...keys: readonly Uint8Array[]): string {
  const path = join(folder, name)
  writeFileSync(path, keys.map((key) => `${Buffer.from(key).toString('base64')}\n`).join(''))
  chmodSync(path, 0o600)
  return path
}

/** Without a key. */
const run = (parameters: readonly string[], { environment, ...options }: CliOptions = {}) =>
  runCli(parameters, {
    environment: { DATABASE_URL: store.url, USER: 'operator', ...environment },
    ...options,
  })

const runWithKey = (
  parameters: readonly string[],
  file = keyFile,
  more: Readonly<Record<string, string>> = {},
) => run(parameters, { environment: { TOKEN_KEY_FILE: file, ...more } })

interface Issued {
  readonly id: string
  readonly token: string
}

async function issue(runIt: typeof run | typeof runWithKey = runWithKey): Promise<Issued> {
  const { stdout, stderr, exitCode } = await runIt([...NEW, '--json'])
  expect(exitCode, stderr).toBe(0)
  return JSON.parse(stdout) as Issued
}

/** `intact`, or what is wrong with the seal of this token's row. */
async function judge(token: string, keys: RowKeys = [KEY]): Promise<string> {
  const { db, close } = openDatabase(store.url, { max: 1 })
  const record = await createSealedTokenStore(db).findSealedByDigest(await digestToken(token))
  await close()
  if (record === null) return 'unknown'
  return (await findSealProblem(record, { keys, notBefore: null })) ?? 'intact'
}

const dump = () => store.sql`select * from api_tokens order by id`
const widen = (id: string) => store.sql`update api_tokens set slurm_user = 'bob' where id = ${id}`
const isRevoked = async (id: string) =>
  (await store.sql`select 1 from api_tokens where id = ${id} and revoked_at is not null`).length === 1

describe('with TOKEN_KEY_FILE', () => {
  it('issue, rotate and revoke write rows that are intact', async () => {
    const old = await issue()
    expect(await judge(old.token)).toBe('intact')
    const rotated = await runWithKey(['token', 'rotate', old.id, '--json'])
    const { token, id } = JSON.parse(rotated.stdout) as Issued
    expect([await judge(old.token), await judge(token)]).toEqual(['intact', 'intact'])
    expect(await runWithKey(['token', 'revoke', id])).toEqual({ exitCode: 0, stdout: `revoked ${id}\n`, stderr: '' })
    expect([await judge(token), await isRevoked(id)]).toEqual(['intact', true])
    const again = await runWithKey(['token', 'revoke', id])
    expect([again.stdout, await judge(token)]).toEqual([`${id} was revoked before\n`, 'intact'])
  })

  it('show says when a token was sealed, and the uid of its user', async () => {
    const { id } = await issue()
    const shown = await run(['token', 'show', id])
    expect(shown.stdout).toMatch(/uid +6001\n(.*\n)*sealed +\d{4}-\d\d-\d\d \d\d:\d\d UTC\n/)
    const json = JSON.parse((await run(['token', 'show', id, '--json'])).stdout) as object
    expect(json).toMatchObject({ uid: 6001, sealed_at: expect.stringMatching(/Z$/) as string })
  })

  it('an altered token is not rotated, and nothing is changed', async () => {
    const { id } = await issue()
    await widen(id)
    const before = await dump()
    const { exitCode, stdout, stderr } = await runWithKey(['token', 'rotate', id])
    expect([exitCode, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(/tok_\S+ is not as it was sealed, .*nothing was changed\n$/)
    expect(await dump()).toEqual(before)
  })

  it('an altered token is revoked all the same, keeps its wrong seal, and the operator is warned', async () => {
    const { id, token } = await issue()
    await widen(id)
    const [before] = await dump()
    const { exitCode, stdout, stderr } = await runWithKey(['token', 'revoke', id])
    expect([exitCode, stdout]).toEqual([0, `revoked ${id}\n`])
    expect(stderr).toMatch(/^slurmgate: warning: tok_\S+ was not as it was sealed, .*it got no new seal\n$/)
    const [after] = await dump()
    expect([await isRevoked(id), await judge(token)]).toEqual([true, 'altered'])
    expect(after?.['seal']).toEqual(before?.['seal'])
  })

  it('a token without a seal is not rotated, and gets none by being revoked', async () => {
    const { id, token } = await issue(run)
    const before = await dump()
    const rotated = await runWithKey(['token', 'rotate', id])
    expect([rotated.exitCode, rotated.stdout]).toEqual([1, ''])
    expect(rotated.stderr).toContain(`run: slurmgate db seal --id ${id}; nothing was changed`)
    expect(await dump()).toEqual(before)
    expect(await runWithKey(['token', 'revoke', id])).toEqual({ exitCode: 0, stdout: `revoked ${id}\n`, stderr: '' })
    expect([await isRevoked(id), await judge(token)]).toEqual([true, 'unsealed'])
  })

  it('a token from before TOKENS_NOT_BEFORE is not rotated, and gets no new seal by being revoked', async () => {
    const { id } = await issue()
    const later = { TOKENS_NOT_BEFORE: '2999-01-01T00:00:00Z' }
    const rotated = await runWithKey(['token', 'rotate', id], keyFile, later)
    expect([rotated.exitCode, rotated.stderr]).toEqual([1, expect.stringContaining('before TOKENS_NOT_BEFORE')])
    const revoked = await runWithKey(['token', 'revoke', id], keyFile, later)
    expect([revoked.exitCode, revoked.stderr]).toEqual([0, expect.stringContaining('it got no new seal')])
    expect(await isRevoked(id)).toBe(true)
  })

  it('that cannot be used, nothing is done, and the problem has its name', async () => {
    const open = writeKeys('open', KEY)
    chmodSync(open, 0o644)
    const short = writeKeys('short', KEY.slice(1))
    for (const file of [open, short, join(folder, 'absent')]) {
      for (const command of [NEW, ['token', 'rotate', 'tok_aaaaaaaaaaaaaaaa'], ['token', 'revoke', 'tok_aaaaaaaaaaaaaaaa'], ['db', 'seal']]) {
        const { exitCode, stdout, stderr } = await runWithKey(command, file)
        expect([exitCode, stdout]).toEqual([2, ''])
        expect(stderr).toMatch(/^slurmgate: TOKEN_KEY_FILE (can be read|must have|cannot be read)/)
        expect(stderr).not.toContain(folder)
      }
    }
    expect(await dump()).toEqual([])
  })
}) // prettier-ignore

describe('without TOKEN_KEY_FILE', () => {
  it('issue and rotate write rows without a seal, as ever', async () => {
    const { id, token } = await issue(run)
    const rotated = await run(['token', 'rotate', id, '--json'])
    expect(rotated.exitCode).toBe(0)
    expect([await judge(token), await judge((JSON.parse(rotated.stdout) as Issued).token)]).toEqual(['unsealed', 'unsealed'])
  })

  it('a sealed token is not rotated, which would break its seal', async () => {
    const { id } = await issue()
    const before = await dump()
    const { exitCode, stdout, stderr } = await run(['token', 'rotate', id])
    expect([exitCode, stdout]).toEqual([1, ''])
    expect(stderr).toBe(`slurmgate: ${id} is sealed, and a change would break its seal: set TOKEN_KEY_FILE; nothing was changed\n`)
    expect(await dump()).toEqual(before)
  })

  it('a sealed token is revoked, with a warning about its seal', async () => {
    const { id, token } = await issue()
    const { exitCode, stdout, stderr } = await run(['token', 'revoke', id, '--json'])
    expect([exitCode, JSON.parse(stdout)]).toEqual([0, { id, revoked: true, revoked_before: false }])
    expect(stderr).toMatch(/^slurmgate: warning: tok_\S+ was revoked without TOKEN_KEY_FILE/)
    expect([await isRevoked(id), await judge(token)]).toEqual([true, 'altered'])
  })
}) // prettier-ignore

describe('keys that follow each other', () => {
  it('are both believed, and db seal moves the rows to the new one, which keep their date', async () => {
    const { id, token } = await issue()
    const both = writeKeys('both', NEXT_KEY, KEY)
    expect((await runWithKey(['db', 'seal', '--check'], both)).exitCode).toBe(0)
    const [before] = await dump()
    const moved = await runWithKey(['db', 'seal'], both)
    expect([moved.exitCode, moved.stdout]).toEqual([0, 'sealed 0 rows, renewed 1 row of an older key\n'])
    const [after] = await dump()
    expect([await judge(token, [NEXT_KEY]), after?.['sealed_at']]).toEqual(['intact', before?.['sealed_at']])
    expect((await runWithKey(['db', 'seal'], both)).stdout).toBe('sealed 0 rows\n')
    const next = writeKeys('next', NEXT_KEY)
    expect((await runWithKey(['token', 'rotate', id], next)).exitCode).toBe(0)
  })

  it('are told apart by their place, so that one sees when the old one can go', async () => {
    await issue()
    await issue()
    const both = writeKeys('both', NEXT_KEY, KEY)
    const check = async (...parameters: readonly string[]) =>
      await runWithKey(['db', 'seal', '--check', ...parameters], both)
    const shown = await check()
    expect([shown.exitCode, shown.stdout.split('\n')]).toEqual([
      0,
      [
        'every row is sealed and as it was sealed',
        'key 1 of TOKEN_KEY_FILE  0 rows  seals',
        'key 2 of TOKEN_KEY_FILE  2 rows  next: slurmgate db seal',
        '',
      ],
    ])
    expect(JSON.parse((await check('--json')).stdout)).toEqual({ findings: [], rows_by_key: [0, 2] })
    await issue(() => runWithKey([...NEW, '--json'], both))
    expect(JSON.parse((await check('--json')).stdout)).toMatchObject({ rows_by_key: [1, 2] })
    await runWithKey(['db', 'seal'], both)
    expect((await check()).stdout).toContain('key 2 of TOKEN_KEY_FILE  0 rows  no row needs it\n')
    for (const output of [shown.stdout, (await check()).stdout])
      for (const key of [KEY, NEXT_KEY])
        expect(output).not.toContain(Buffer.from(key).toString('base64').slice(0, 8))
  })

  it('a token of the old key is revoked and rotated in between, and what is written is of the new one', async () => {
    const [revoked, rotated] = [await issue(), await issue()]
    const both = writeKeys('both', NEXT_KEY, KEY)
    expect(await runWithKey(['token', 'revoke', revoked.id], both)).toMatchObject({ exitCode: 0, stderr: '' })
    expect([await judge(revoked.token, [NEXT_KEY]), await isRevoked(revoked.id)]).toEqual(['intact', true])
    expect((await runWithKey(['token', 'rotate', rotated.id], both)).exitCode).toBe(0)
    expect(await judge(rotated.token, [NEXT_KEY])).toBe('intact')
  })

  it('a token of the new key is revoked with the old one alone too, with a warning', async () => {
    const { id, token } = await issue(() => runWithKey([...NEW, '--json'], writeKeys('next', NEXT_KEY)))
    const { exitCode, stderr } = await runWithKey(['token', 'revoke', id])
    expect([exitCode, await isRevoked(id), await judge(token, [NEXT_KEY])]).toEqual([0, true, 'altered'])
    expect(stderr).toMatch(/its key is not in TOKEN_KEY_FILE/)
  })

  it('a row that is wrong under both is not renewed unless it is named', async () => {
    const { id, token } = await issue()
    await widen(id)
    const both = writeKeys('both', NEXT_KEY, KEY)
    expect((await runWithKey(['db', 'seal'], both)).exitCode).toBe(1)
    expect(await judge(token, [NEXT_KEY, KEY])).toBe('altered')
    expect((await runWithKey(['db', 'seal', '--id', id, '--reseal'], both)).exitCode).toBe(0)
    expect(await judge(token, [NEXT_KEY])).toBe('intact')
  })

  it('a row of a key that nobody believes any more is not renewed', async () => {
    const { id } = await issue()
    const next = writeKeys('next', NEXT_KEY)
    const { exitCode, stderr } = await runWithKey(['db', 'seal'], next)
    expect([exitCode, stderr]).toEqual([
      1,
      'slurmgate: 1 row left alone; which, says: slurmgate db seal --check\n',
    ])
    expect((await runWithKey(['db', 'seal', '--check'], next)).stdout).toMatch(new RegExp(`${id} .* altered`))
  })
})

describe('the uid of a new token', () => {
  const uidOf = async () => (await store.sql<{ uid: string | null }[]>`select uid from api_tokens`)[0]?.uid

  it('is that of its user on this host', async () => {
    await issue()
    expect(await uidOf()).toBe('6001')
  })

  it('is the one that is given, and then nobody is asked', async () => {
    const findUid = () => Promise.reject(new Error('asked'))
    const { exitCode, stdout } = await run([...NEW, '--uid', '4294967294', '--json'], { findUid })
    expect([exitCode, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ uid: 4_294_967_294 })])
    expect(await uidOf()).toBe('4294967294')
  })

  it.each(['-1', '4294967295', '1e3', 'alice', ''])('is no usage as %j', async (uid) => {
    const { exitCode, stderr } = await run([...NEW, `--uid=${uid}`])
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('--uid takes a number from 0 to 4294967294')])
    expect(await dump()).toEqual([])
  })

  it.each<[string, NonNullable<CliOptions['findUid']>, RegExp]>([
    ['a user that this host does not know', () => Promise.resolve(null), /this host has no user alice/],
    ['a uid that leads to somebody else', () => Promise.resolve({ uid: 7, nameOfUid: 'bob' }), /alice is uid 7 here, and that is bob/],
    ['a getent that fails', () => Promise.reject(new Error('hunter2')), /alice was not found out: getent failed/],
  ])('is unknown for %s: a warning, and with --strict a refusal', async (_, findUid, message) => {
    const environment = { TOKEN_KEY_FILE: keyFile }
    const { exitCode, stdout } = await run([...NEW, '--json'], { findUid, environment })
    const { warnings, uid } = JSON.parse(stdout) as { warnings: { code: string; text: string }[]; uid: null }
    expect([exitCode, uid, await uidOf()]).toEqual([0, null, null])
    expect(warnings.find(({ code }) => code === 'uid_unknown')?.text).toMatch(message)
    const strict = await run([...NEW, '--strict'], { findUid, environment })
    expect([strict.exitCode, strict.stdout, (await dump()).length]).toEqual([1, '', 1])
    expect(strict.stderr).not.toContain('hunter2')
  })

  it('is no matter where rows are not sealed: no warning', async () => {
    const { stdout } = await run([...NEW, '--json'], { findUid: () => Promise.resolve(null) })
    expect(stdout).not.toContain('uid_unknown')
  })

  it('goes over to the token in its place; where there was none, it is looked up', async () => {
    const { id } = await issue()
    const findUid = () => Promise.resolve({ uid: 7001, nameOfUid: 'alice' })
    const first = JSON.parse((await run(['token', 'rotate', id, '--json'], { findUid, environment: { TOKEN_KEY_FILE: keyFile } })).stdout) as object
    expect(first).toMatchObject({ uid: 6001 })
    const unknown = await run([...NEW, '--json'], { findUid: () => Promise.resolve(null) })
    const { id: withoutUid } = JSON.parse(unknown.stdout) as Issued
    const second = JSON.parse((await run(['token', 'rotate', withoutUid, '--json'], { findUid })).stdout) as object
    expect(second).toMatchObject({ uid: 7001 })
  })
}) // prettier-ignore
