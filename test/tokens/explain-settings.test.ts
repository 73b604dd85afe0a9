/** `slurmgate explain` judges by the settings that the gateway has, and reads a body as the gateway would get it. */

import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { UsageError } from '../../functions/cli/command.ts'
import { explainRequest } from '../../functions/cli/explain.ts'
import type { Explanation } from '../../src/explain.ts'
import { findAnyUid } from '../support/cli.ts'
import { FakeSlurmrestd } from '../support/fake-slurmrestd.ts'
import { stopOwnPostgres } from '../support/postgres.ts'
import { buildTokenRow, createTokenDatabase, type TokenDatabase } from '../support/token-database.ts'

const ID = 'tok_aaaaaaaaaaaaaaaa'
const KEY = randomBytes(32)
const SUBMIT = ['POST', '/slurm/v0.0.42/job/submit'] as const
const folder = mkdtempSync(join(tmpdir(), 'slurmgate-explain-'))

let store: TokenDatabase
let slurmrestd: FakeSlurmrestd
beforeAll(async () => {
  store = await createTokenDatabase()
  slurmrestd = await FakeSlurmrestd.start(KEY)
  await store.sql`insert into api_tokens ${store.sql(buildTokenRow({ expires_at: null, account: null }))}`
})
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await slurmrestd.stop()
  await store.sql.end()
  await stopOwnPostgres()
})

interface Run {
  readonly environment?: Readonly<Record<string, string>>
  readonly stdin?: Uint8Array<ArrayBuffer>
}

async function explain(parameters: readonly string[], { environment, stdin }: Run = {}) {
  const printed: string[] = []
  const notes: string[] = []
  const asked: number[] = []
  const exitCode = await explainRequest(['--token-id', ID, '--json', ...parameters], {
    env: { DATABASE_URL: store.url, ...environment },
    isTerminal: false,
    userName: 'operator',
    clock: Date.now,
    randomBytes: (length) => new Uint8Array(randomBytes(length)),
    findUid: findAnyUid,
    packageFolder: '',
    print: (text) => printed.push(text),
    note: (line) => notes.push(line),
    readStdin: (maxBytes) => {
      asked.push(maxBytes)
      return Promise.resolve(stdin ?? new Uint8Array(0))
    },
  })
  return { exitCode, notes, asked, explanation: JSON.parse(printed.join('')) as Explanation }
}

const write = (content: string | Uint8Array): string => {
  const file = join(folder, 'body.json')
  writeFileSync(file, content)
  return file
}

describe('without slurmrestd', () => {
  it.each([{}, { SLURMRESTD_URL: '' }, { SLURMRESTD_URL: ' ', SLURM_API_VERSIONS: 'auto' }])(
    'what latest means is undecided, and a numbered version is judged: %j',
    async (environment) => {
      const { exitCode, explanation } = await explain(['GET', '/slurm/latest/jobs'], { environment })
      expect([exitCode, explanation.decision, explanation.rule]).toEqual([1, 'undecided', 'versions_unknown'])
      expect(explanation).toMatchObject({ status: 503, operation: null, version: null })
      const numbered = await explain(['GET', '/slurm/v0.0.41/jobs'], { environment })
      expect([numbered.exitCode, numbered.explanation.version]).toEqual([0, 'v0.0.41'])
      expect(numbered.notes).toEqual([
        'SLURMRESTD_URL is not set: every numbered API version counts as served, and no job is looked at',
      ])
    },
  )

  it("the operator's list says what is served, and what latest means", async () => {
    const environment = { SLURM_API_VERSIONS: 'v0.0.41,v0.0.40' }
    const latest = await explain(['GET', '/slurm/latest/jobs'], { environment })
    expect([latest.exitCode, latest.explanation.version]).toEqual([0, 'v0.0.41'])
    expect(latest.notes).toEqual(['SLURMRESTD_URL is not set: no job is looked at'])
    const other = await explain(['GET', '/slurm/v0.0.42/jobs'], { environment })
    expect([other.exitCode, other.explanation.rule]).toEqual([1, 'version_not_served'])
  })

  it("the gate's own paths need no version", async () => {
    expect((await explain(['GET', '/meta/versions/latest'])).explanation).toMatchObject({
      ...{ decision: 'allowed', rule: 'public', operation: 'GET /meta/versions/latest' },
    })
  })
})

it.each<[string, Readonly<Record<string, string>>, RegExp]>([
  ['a version that is none', { SLURM_API_VERSIONS: 'v0.0.9' }, /^SLURM_API_VERSIONS may list/],
  ['a limit that is none', { REQUEST_BODY_MAX_BYTES: '8 MiB' }, /^REQUEST_BODY_MAX_BYTES must be/],
  ['a URL without a key', { SLURMRESTD_URL: 'http://127.0.0.1:1' }, /SLURM_JWT_HS256_KEY, .* is required/],
])('%s is a bad configuration', async (_, environment, message) => {
  const outcome = await explain(['GET', '/slurm/v0.0.42/jobs'], { environment }).catch(
    (error: unknown) => error,
  )
  expect(outcome).toBeInstanceOf(UsageError)
  expect((outcome as UsageError).message).toMatch(message)
})

describe('a body', () => {
  const limit = (maxBytes: number) => ({ environment: { REQUEST_BODY_MAX_BYTES: String(maxBytes) } })
  const job = '{"job":{"account":"phys"}}'

  it("is too large by the gateway's limit, from a file and from stdin", async () => {
    const fits = write(job.padEnd(1024))
    expect((await explain([...SUBMIT, '--body', fits], limit(1024))).explanation.decision).toBe('allowed')
    const large = write(job.padEnd(1025))
    const file = await explain([...SUBMIT, '--body', large], limit(1024))
    expect([file.exitCode, file.explanation.rule, file.explanation.status]).toEqual([
      1,
      'body_too_large',
      413,
    ])
    const stdin = new TextEncoder().encode(job.padEnd(1025))
    const piped = await explain([...SUBMIT, '--body', '-'], { ...limit(1024), stdin })
    expect([piped.explanation.rule, piped.asked]).toEqual(['body_too_large', [1024]])
    const plain = await explain([...SUBMIT, '--body', '-'], { stdin })
    expect([plain.explanation.decision, plain.asked]).toEqual(['allowed', [8 * 1024 * 1024]])
  })

  it('that never ends is read up to the limit', async () => {
    const { explanation } = await explain([...SUBMIT, '--body', '/dev/zero'])
    expect(explanation.rule).toBe('body_too_large')
  })

  it('that is not UTF-8 is judged as it is, from a file and from stdin', async () => {
    const stdin = Uint8Array.from([...new TextEncoder().encode('{"job":{"name":"'), 0xff, 0x22, 0x7d, 0x7d])
    for (const { explanation } of [
      await explain([...SUBMIT, '--body', '-'], { stdin }),
      await explain([...SUBMIT, '--body', write(stdin)]),
    ])
      expect([explanation.rule, explanation.description]).toEqual(['json_malformed', 'the body is not UTF-8'])
  })
})

describe('a token that is refused', () => {
  it.each([
    ['token_revoked', { revoked_at: new Date('2028-01-01') }, {}],
    ['token_expired', { expires_at: new Date('2026-01-02'), created_at: new Date('2026-01-01') }, {}],
    ['token_user_denied', { slurm_user: 'carol' }, { SLURM_DENIED_USERS: 'carol' }],
  ])('as %s gives a whole explanation and asks nobody', async (rule, change, environment) => {
    const before = buildTokenRow({ expires_at: null, account: null })
    await store.sql`update api_tokens set ${store.sql(change)}`
    const reachable = {
      SLURMRESTD_URL: `http://127.0.0.1:${String(slurmrestd.port)}`,
      SLURM_JWT_HS256_KEY: KEY.toString('base64'),
      ...environment,
    }
    const jobs = await explain(['DELETE', '/slurm/latest/job/101'], { environment: reachable })
    const ping = await explain(['GET', '/ping'], { environment: reachable })
    await store.sql`update api_tokens set ${store.sql(before)}`
    expect(jobs.exitCode).toBe(1)
    expect(jobs.explanation).toEqual({
      ...{ decision: 'refused', rule, status: 401, description: expect.stringMatching(/./) as string },
      ...{ operation: null, effect: null, version: null, access: null, account: null, accounts_in: null },
      ...{ checked_jobs: [], forwards: null },
    })
    expect([ping.exitCode, ping.explanation.rule]).toEqual([0, 'public'])
    expect(slurmrestd.requests).toEqual([])
  })
})
