/** `slurmgate token list`: pages that join without a gap or a repetition, filters, and what a pipe gets. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCli, type CliOptions } from '../support/cli.ts'
import { stopOwnPostgres } from '../support/postgres.ts'
import { buildTokenRow, createTokenDatabase, type TokenDatabase } from '../support/token-database.ts'

const COUNT = 2_350
/** As before there were pages. */
const SHORT_LIST = `\
ID                    NAME     USER   ACCOUNT  SCOPES                        STATE    EXPIRES
tok_zzzzzzzzzzza5b3b  token 2  alice  phys     slurm:read,slurm:jobs:manage  expired  2020-01-02 00:00 UTC
tok_zzzzzzzzzzzz7cac  token 1  alice  phys     slurm:read,slurm:jobs:manage  active   2100-01-01 00:00 UTC
tok_zzzzzzzzzzzzzzzz  token 0  bob    phys     slurm:read,slurm:jobs:manage  revoked  2020-01-02 00:00 UTC
`

let tokens: TokenDatabase
let newestFirst: readonly string[]
beforeAll(async () => {
  tokens = await createTokenDatabase()
  // Times to the microsecond, seven tokens each; a Date would not tell neighbours apart.
  const rows = Array.from({ length: COUNT }, (_, number) =>
    buildTokenRow({
      id: nameToken(number),
      name: `token ${number}`,
      slurm_user: number % 10 === 0 ? 'bob' : 'alice',
      created_at: new Date('2020-01-01T00:00:00Z'),
      digest: Buffer.from(String(number).padStart(32, '0')),
      revoked_at: number % 3 === 0 ? new Date('2020-02-01T00:00:00Z') : null,
      expires_at: new Date(number % 3 === 1 ? '2100-01-01T00:00:00Z' : '2020-01-02T00:00:00Z'),
    }),
  )
  for (let start = 0; start < COUNT; start += 1_000) {
    await tokens.sql`insert into api_tokens ${tokens.sql(rows.slice(start, start + 1_000))}`
  }
  await tokens.sql`update api_tokens
    set created_at = '2020-01-01T00:00:00Z'::timestamptz + (substring(name from 7)::int / 7) * interval '1 microsecond'`
  const sorted = await tokens.sql<{ id: string }[]>`select id from api_tokens order by created_at desc, id`
  newestFirst = sorted.map(({ id }) => id)
}, 180_000)
afterAll(async () => {
  await tokens.sql.end()
  await stopOwnPostgres()
})

/** Ids are of the letters a-z and the digits 2-7, so in another order than they were made. */
function nameToken(number: number): string {
  const digits = String((number * 7919) % 100_003).padStart(16, '0')
  return `tok_${digits.replace(/[0189]/g, (digit) => 'zabc'.charAt('0189'.indexOf(digit)))}`
}

const run = (parameters: readonly string[], options: CliOptions = {}) =>
  runCli(['token', 'list', ...parameters], { environment: { DATABASE_URL: tokens.url }, ...options })

async function readJson(...parameters: readonly string[]) {
  const { exitCode, stdout, stderr } = await run([...parameters, '--json'])
  expect(exitCode, stderr).toBe(0)
  expect(stdout.endsWith(']\n') && stdout.indexOf('\n') === stdout.length - 1).toBe(true)
  const list = JSON.parse(stdout) as { id: string; user: string; state: string }[]
  return { list, ids: list.map(({ id }) => id), stderr }
}

/** The ids of a table's rows, and the place it names for the next page. */
function readTable({ stdout, stderr }: { stdout: string; stderr: string }) {
  const ids = stdout.split('\n').flatMap((line) => /^tok_\S+/.exec(line)?.[0] ?? [])
  return { ids, next: /^more: slurmgate token list (.*)\n$/.exec(stderr)?.[1] ?? null }
}

describe('on a pipe', () => {
  it('everything comes, newest first, each token once, and no word of pages', async () => {
    expect(await readJson()).toMatchObject({ ids: newestFirst, stderr: '' })
    const table = await run([])
    expect(table.stderr).toBe('')
    expect(readTable(table).ids).toEqual(newestFirst)
    expect(table.stdout.match(/^ID /gm)).toHaveLength(1)
  })
})

describe('on a terminal', () => {
  it('a page of 100 comes, and the command for the next one; all of them give every token once', async () => {
    const seen: string[] = []
    let options: string[] = []
    for (;;) {
      const outcome = await run(options, { isTerminal: true })
      const { ids, next } = readTable(outcome)
      expect(outcome.stdout.startsWith('ID ')).toBe(true)
      expect(ids.length).toBeLessThanOrEqual(100)
      seen.push(...ids)
      if (next === null) break
      expect(ids).toHaveLength(100)
      options = next.split(' ')
    }
    expect(seen).toEqual(newestFirst)
  })

  it('--json gives everything there too', async () => {
    const { stdout } = await run(['--json'], { isTerminal: true })
    expect(JSON.parse(stdout)).toHaveLength(COUNT)
  })
})

describe('a page', () => {
  it.each([1, 999, 1_000, 1_001, 2_000, COUNT - 1])(
    'of %i tokens ends there and says how it goes on',
    async (limit) => {
      const { ids, stderr } = await readJson('--limit', String(limit))
      expect(ids).toEqual(newestFirst.slice(0, limit))
      const last = String(ids.at(-1))
      expect(stderr).toBe(`more: slurmgate token list --limit ${limit} --json --after ${last}\n`)
      expect((await readJson('--after', last)).ids).toEqual(newestFirst.slice(limit))
    },
  )

  it.each([COUNT, COUNT + 1, 10_000])('of %i tokens is the last one', async (limit) => {
    expect(await readJson('--limit', String(limit))).toMatchObject({ ids: newestFirst, stderr: '' })
  })

  it('after the oldest token is empty', async () => {
    const oldest = String(newestFirst.at(-1))
    expect((await readJson('--after', oldest)).ids).toEqual([])
    expect((await run(['--after', oldest])).stdout).toMatch(/^ID {2}NAME .*\n$/)
  })

  it.each<[readonly string[], 1 | 2, string]>([
    [['--after', 'tok_aaaaaaaaaaaaaaaa'], 1, 'there is no token tok_aaaaaaaaaaaaaaaa'],
    [['--after', 'nonsense'], 2, 'a token id looks like'],
    [['--limit', '0'], 2, '--limit takes a number from 1 to 10000'],
    [['--limit', '10001'], 2, '--limit takes'],
    [['--limit', '1e3'], 2, '--limit takes'],
    [['--limit', '-1'], 2, '--limit'],
  ])('%j is refused', async (parameters, exitCode, text) => {
    const outcome = await run(parameters)
    expect([outcome.exitCode, outcome.stdout]).toEqual([exitCode, ''])
    expect(outcome.stderr).toContain(text)
  })
})

describe('filters', () => {
  it('--user gives one user’s tokens, across pages', async () => {
    const { list, ids } = await readJson('--user', 'bob')
    expect(list).toHaveLength(COUNT / 10)
    expect(new Set(list.map(({ user }) => user))).toEqual(new Set(['bob']))
    const first = readTable(await run(['--user', 'bob', '--limit', '200']))
    expect(first.next).toBe(`--user bob --limit 200 --after ${String(ids[199])}`)
    const second = readTable(await run(first.next?.split(' ') ?? []))
    expect([...first.ids, ...second.ids]).toEqual(ids)
    expect((await readJson('--user', 'nobody')).ids).toEqual([])
  })

  it('--active leaves out what was revoked or has expired', async () => {
    const all = await readJson()
    expect(new Set(all.list.map(({ state }) => state))).toEqual(new Set(['active', 'expired', 'revoked']))
    const active = all.list.filter(({ state }) => state === 'active').map(({ id }) => id)
    expect((await readJson('--active')).ids).toEqual(active)
  })
})

describe('a short list', () => {
  it('looks the same on a terminal and on a pipe', async () => {
    const parameters = ['--after', String(newestFirst.at(-4))]
    const [pipe, terminal] = [await run(parameters), await run(parameters, { isTerminal: true })]
    expect(pipe).toEqual(terminal)
    expect(pipe).toEqual({ exitCode: 0, stdout: SHORT_LIST, stderr: '' })
  })
})

it('a list that breaks off in the middle is no JSON, and exits 1', async () => {
  // A row of the last portion that Postgres fails at.
  await tokens.sql`alter table api_tokens rename to kept_tokens`
  await tokens.sql`create view api_tokens as select id, name, slurm_user, digest, scopes, account, format, created_at,
    expires_at, revoked_at, issued_by, policy_version, seal, sealed_at, replaced_by,
    case when name = 'token 17' then 1 / (length(name) - 8) else uid end as uid from kept_tokens`
  const { exitCode, stdout, stderr } = await run(['--json'])
  await tokens.sql`drop view api_tokens`
  await tokens.sql`alter table kept_tokens rename to api_tokens`
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining('22012')])
  expect(stdout).toContain('tok_')
  expect(() => JSON.parse(stdout) as unknown).toThrow(SyntaxError)
})
