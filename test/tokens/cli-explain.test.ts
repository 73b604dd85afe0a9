/** `slurmgate explain`: the gate's own decision on a request of an issued token; nothing is forwarded. */

import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { runCli } from '../support/cli.ts'
import { FakeSlurmrestd } from '../support/fake-slurmrestd.ts'
import { stopOwnPostgres } from '../support/postgres.ts'
import { createTokenDatabase, type TokenDatabase } from '../support/token-database.ts'

const KEY = randomBytes(32)
const directory = mkdtempSync(join(tmpdir(), 'slurmgate-explain-'))

let store: TokenDatabase
let slurmrestd: FakeSlurmrestd
let id = ''
beforeAll(async () => {
  ;[store, slurmrestd] = await Promise.all([createTokenDatabase(), FakeSlurmrestd.start(KEY)])
  const parameters = ['--name', 'x', '--user', 'alice', '--account', 'proj_a', '--scope', 'slurm:jobs:manage']
  const issued = await run(['token', 'issue', ...parameters, '--json'])
  id = (JSON.parse(issued.stdout) as { id: string }).id
})
beforeEach(() => slurmrestd.reset())
afterAll(async () => {
  rmSync(directory, { recursive: true, force: true })
  await slurmrestd.stop()
  await store.sql.end()
  await stopOwnPostgres()
})

function run(
  parameters: readonly string[],
  more: { input?: string; environment?: Record<string, string> } = {},
) {
  const environment = { DATABASE_URL: store.url, USER: 'operator', ...more.environment }
  return runCli(parameters, { ...more, environment })
}

const REACHABLE = () => ({
  SLURMRESTD_URL: `http://127.0.0.1:${String(slurmrestd.port)}`,
  SLURM_JWT_HS256_KEY: KEY.toString('base64'),
})

async function explain(parameters: readonly string[], more: Parameters<typeof run>[1] = {}) {
  const outcome = await run(['explain', '--token-id', id, ...parameters, '--json'], more)
  const explanation = outcome.stdout === '' ? null : (JSON.parse(outcome.stdout) as Record<string, unknown>)
  const calls = slurmrestd.operations.map(({ method, target }) => `${method} ${target}`)
  return { ...outcome, explanation, calls }
}

it('tells that an own job may be cancelled, having looked at it as the gate would', async () => {
  const { exitCode, explanation, calls, stderr } = await explain(['DELETE', '/slurm/latest/job/101'], {
    environment: REACHABLE(),
  })
  expect([exitCode, stderr]).toEqual([0, ''])
  expect(explanation).toMatchObject({
    ...{ decision: 'allowed', rule: 'token_account', version: 'v0.0.42', checked_jobs: ['101'] },
    forwards: { method: 'DELETE', target: '/slurm/v0.0.42/job/101' },
  })
  expect(calls).toEqual(['GET /slurm/v0.0.42/job/101'])
})

it('tells that a foreign one may not, with exit code 1', async () => {
  const { exitCode, explanation, calls } = await explain(['DELETE', '/slurm/latest/job/102'], {
    environment: REACHABLE(),
  })
  expect([exitCode, explanation?.['rule'], explanation?.['status']]).toEqual([1, 'account_mismatch', 403])
  expect(calls).toEqual(['GET /slurm/v0.0.42/job/102'])
})

it('where Slurm’s key is the signer’s looks at no job and says so, and needs no key', async () => {
  const environment = { SLURMRESTD_URL: REACHABLE().SLURMRESTD_URL, SLURM_TOKEN_SIGNER: 'verifier' }
  const write = await explain(['DELETE', '/slurm/latest/job/101'], { environment })
  expect(write.exitCode).toBe(1)
  expect(write.explanation).toMatchObject({
    ...{ decision: 'undecided', rule: 'job_check_failed', version: 'v0.0.42', checked_jobs: [] },
  })
  expect(write.stderr).toBe(
    'Slurm’s key is the signer’s (SLURM_TOKEN_SIGNER=verifier): no job is looked at\n',
  )
  const document = '{"job":{"account":"proj_a"}}'
  const submission = await explain(['POST', '/slurm/latest/job/submit', '--body', '-'], {
    environment,
    input: document,
  })
  expect([submission.exitCode, submission.explanation?.['decision']]).toEqual([0, 'allowed'])
  expect([...write.calls, ...submission.calls]).toEqual([])
})

it('with a key of its own looks at jobs, whoever signs elsewhere', async () => {
  const environment = { ...REACHABLE(), SLURM_TOKEN_SIGNER: 'verifier' }
  const { exitCode, calls } = await explain(['DELETE', '/slurm/latest/job/101'], { environment })
  expect([exitCode, calls]).toEqual([0, ['GET /slurm/v0.0.42/job/101']])
})

it('judges a document from a file or from stdin', async () => {
  const file = join(directory, 'job.json')
  writeFileSync(file, '{"job":{"account":"proj_b"}}')
  const refused = await explain(['POST', '/slurm/v0.0.42/job/submit', '--body', file])
  expect([refused.exitCode, refused.explanation?.['rule']]).toEqual([1, 'account_mismatch'])
  const input = '{"job":{"account":"proj_a",},}'
  const allowed = await explain(['POST', '/slurm/v0.0.42/job/submit', '--body', '-'], { input })
  expect([allowed.exitCode, allowed.explanation?.['rule']]).toEqual([0, 'token_account'])
  const yaml = ['--content-type', 'application/yaml']
  const typed = await explain(['POST', '/slurm/v0.0.42/job/submit', '--body', '-', ...yaml], { input })
  expect([typed.exitCode, typed.explanation?.['rule']]).toEqual([1, 'content_type_unsupported'])
  expect(slurmrestd.requests).toEqual([])
})

it('without slurmrestd says what it could not find out, and does not say yes', async () => {
  const { exitCode, explanation, stderr } = await explain(['DELETE', '/slurm/v0.0.45/job/101'])
  expect(exitCode).toBe(1)
  expect(explanation).toMatchObject({ decision: 'undecided', rule: 'job_check_failed', version: 'v0.0.45' })
  expect(stderr).toContain('SLURMRESTD_URL is not set')
  const scope = await explain(['GET', '/slurm/v0.0.45/jobs'])
  expect(scope.explanation).toMatchObject({ decision: 'refused', rule: 'insufficient_scope' })
})

it('prints a table for people', async () => {
  const { stdout, exitCode } = await run(['explain', '--token-id', id, 'GET', '/slurm/v0.0.42/jobs'])
  expect(exitCode).toBe(1)
  expect(stdout).toMatch(/^decision +refused\nrule +insufficient_scope\nstatus +403\n/)
  expect(stdout).toMatch(/\naccess +slurm:read\n/)
})

it('tells that the token itself is refused, whatever the request', async () => {
  await run(['token', 'revoke', id])
  const { exitCode, explanation, calls } = await explain(['GET', '/slurm/latest/jobs'], {
    environment: REACHABLE(),
  })
  expect([exitCode, explanation?.['rule'], calls]).toEqual([1, 'token_revoked', []])
  await store.sql`update api_tokens set revoked_at = null where id = ${id}`
})

it.each([
  [[], 2],
  [['GET', '/slurm/latest/jobs'], 2],
  [['--token-id', 'tok_aaaaaaaaaaaaaaaa', 'GET', '/slurm/latest/jobs'], 1],
  [['--token-id', 'tok_aaaaaaaaaaaaaaaa', 'GET', 'slurm/latest/jobs'], 2],
  [['--token-id', 'tok_aaaaaaaaaaaaaaaa', 'GET'], 2],
  [['--token-id', 'tok_aaaaaaaaaaaaaaaa', 'GET', '/x', '--body', '/nonexistent/file'], 2],
])('%j ends with %i and no answer', async (parameters, code) => {
  const { exitCode, stdout } = await run(['explain', ...parameters])
  expect([exitCode, stdout]).toEqual([code, ''])
})

it('never repeats a token that was given for an id', async () => {
  const secret = `slg_${'a'.repeat(49)}`
  const { exitCode, stdout, stderr } = await run(['explain', '--token-id', secret, 'GET', '/x'])
  expect(exitCode).toBe(2)
  expect(stdout + stderr).not.toContain(secret)
})
