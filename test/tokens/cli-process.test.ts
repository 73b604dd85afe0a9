/** The built program, for what only a process shows; its commands are tested without one, in the files beside this. */

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { userInfo } from 'node:os'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { isOpaqueToken } from '../../src/tokens/token-form.ts'
import { findFreePort } from '../support/free-port.ts'
import { createDatabase, stopOwnPostgres } from '../support/postgres.ts'
import { Program, type ProgramOptions } from '../support/program.ts'
import { CLI_PATH } from '../support/surroundings.ts'

const NEW = [
  '--name',
  'nightly',
  '--user',
  'alice',
  '--uid',
  '6001',
  '--account',
  'phys',
  '--scope',
  'slurm:jobs:manage',
]
const SLURM_KEY = randomBytes(32).toString('base64')

/** None of these may be printed, but for a new token by the command that made it. */
const secrets = [SLURM_KEY]
const printed: string[] = []
let databaseUrl = ''
beforeAll(async () => {
  databaseUrl = await createDatabase()
  secrets.push(new URL(databaseUrl).password)
  const { exitCode, stdout, stderr } = await run(['db', 'migrate'])
  expect([exitCode, stderr]).toEqual([0, ''])
  expect(stdout).toMatch(/^applied 0000_api_tokens\n/)
})
afterAll(stopOwnPostgres)

async function start(command: string, parameters: readonly string[], options: ProgramOptions = {}) {
  const environment = { DATABASE_URL: databaseUrl, USER: 'operator', ...options.environment }
  const program = new Program(command, parameters, { ...options, environment })
  const exitCode = await program.exit
  const { stdout, stderr } = program
  return { exitCode, stdout, stderr }
}

async function run(parameters: readonly string[], options?: ProgramOptions) {
  const outcome = await start(process.execPath, [CLI_PATH, ...parameters], options)
  printed.push(outcome.stdout, outcome.stderr)
  return outcome
}

/** @param readToken from what it printed on stdout, the one place for it. */
async function issue(
  parameters: readonly string[],
  readToken: (stdout: string) => string,
  options?: ProgramOptions,
) {
  const outcome = await start(process.execPath, [CLI_PATH, 'token', 'issue', ...NEW, ...parameters], options)
  expect(outcome.exitCode, outcome.stderr).toBe(0)
  const token = readToken(outcome.stdout)
  secrets.push(token)
  printed.push(outcome.stderr)
  return { ...outcome, token }
}

const readJson = (stdout: string) => JSON.parse(stdout) as { id: string; token: string; issued_by: string }

it('writes a new token alone to a pipe, its id and the warnings elsewhere', async () => {
  const { stdout, stderr, token } = await issue([], (text) => text.trim())
  expect(isOpaqueToken(token)).toBe(true)
  expect(stdout).toBe(`${token}\n`)
  expect(stderr).toMatch(
    /^slurmgate: warning: alice was not looked up .*\nissued tok_[a-z2-7]{16} \(nightly\)\n$/,
  )
})

it('takes a token over from stdin', async () => {
  const input = randomBytes(24).toString('hex')
  const { stdout, token } = await issue(['--token-from-stdin', '--json'], (text) => readJson(text).token, {
    input: `${input}\n`,
  })
  expect(token).toBe(input)
  expect(JSON.parse(stdout)).toMatchObject({ format: 'imported', issued_by: 'operator' })
})

it('names the process’s own user as the issuer, and explains what that token may do', async () => {
  const environment = { USER: undefined }
  const { stdout } = await issue(['--json'], (text) => readJson(text).token, { environment })
  expect(readJson(stdout).issued_by).toBe(userInfo().username)
  const question = ['--token-id', readJson(stdout).id, 'GET', '/slurm/v0.0.45/nodes']
  const { exitCode, stdout: answer, stderr } = await run(['explain', ...question, '--json'])
  expect(exitCode, stderr).toBe(1)
  expect(JSON.parse(answer)).toMatchObject({ decision: 'refused', rule: 'insufficient_scope' })
})

it('has a line for each dependency in doctor, and fails when one of them does', async () => {
  const SLURMRESTD_URL = `http://127.0.0.1:${String(await findFreePort())}`
  const environment = { SLURMRESTD_URL, SLURM_JWT_HS256_KEY: SLURM_KEY, MUNGE_MODE: 'off' }
  const { exitCode, stdout } = await run(['doctor'], { environment })
  expect(exitCode).toBe(1)
  expect(stdout).toMatch(
    /^ok +token store .*\nwarn +database role .*\nok +clock .*\nFAILED +slurmrestd .*\noff +slurmctld .*\noff +slurmdbd .*\noff +munge .*\nok +slurm key .*\nok +tokens .*\n$/,
  )
})

it('ends with 1 where the answer is no', async () => {
  expect(await run(['token', 'show', 'tok_aaaaaaaaaaaaaaaa'])).toEqual({
    exitCode: 1,
    stdout: '',
    stderr: 'slurmgate: there is no token tok_aaaaaaaaaaaaaaaa\n',
  })
})

it('ends with 2 where it does not understand', async () => {
  const { exitCode, stdout, stderr } = await run(['token', 'burn'])
  expect([exitCode, stdout]).toEqual([2, ''])
  expect(stderr).toContain('usage:')
})

it('tells the version of its package', async () => {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const { version } = JSON.parse(text) as { version: string }
  expect(await run(['--version'])).toEqual({ exitCode: 0, stdout: `${version}\n`, stderr: '' })
})

it('fails without a stack trace where the reader of its output is gone', async () => {
  // A pipe that has lost its only reader before the program starts.
  const script =
    'f=$(mktemp -u); mkfifo "$f"; exec 3<>"$f" 4>"$f" 3>&-; rm "$f"; "$@" >&4 4>&-; echo "exit $?" >&2'
  const { stderr } = await start('sh', ['-c', script, 'sh', process.execPath, CLI_PATH, '--help'])
  expect(stderr).toBe('exit 1\n')
})

it('ends where Postgres accepts and never answers', async () => {
  const sockets: Socket[] = []
  const server = createServer((socket) => sockets.push(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const environment = { DATABASE_URL: `postgres://gate:hunter2@127.0.0.1:${String(port)}/x` }
  const { exitCode, stdout, stderr } = await run(['token', 'list', '--json'], { environment })
  for (const socket of sockets) socket.destroy()
  server.close()
  expect([exitCode, stdout]).toEqual([1, ''])
  expect(stderr).toContain('CONNECT_TIMEOUT')
  expect(stderr).not.toContain('hunter2')
})

it('prints no secret on either stream: no token again, no key, no password', async () => {
  const { exitCode, stdout } = await run(['token', 'list', '--json'])
  expect([exitCode, (JSON.parse(stdout) as unknown[]).length]).toEqual([0, 3])
  expect(secrets.filter((secret) => secret.length < 16)).toEqual([])
  expect(secrets.filter((secret) => printed.join('\n').includes(secret))).toEqual([])
})
