/** README "Calling it": `slurmgate munge-header`, for an ordinary user who has nothing but munged. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createMungedSocket } from '../../functions/node/munged-socket.ts'
import { digestRequest, parseBindingPayload } from '../../src/munge/binding-payload.ts'
import { createMungedClient } from '../../src/munge/munged-client.ts'
import { runCli, type CliOptions } from '../support/cli.ts'
import { FakeMunged } from '../support/fake-munged.ts'

const SUBMIT = '/slurm/latest/job/submit'
/** Not text in any encoding, and with what a shell or a text stream would change. */
const BINARY = Uint8Array.from({ length: 300 }, (_, index) => (index * 7) % 256)

let munged: FakeMunged
const directory = mkdtempSync(join(tmpdir(), 'munge-header-'))
beforeAll(async () => {
  munged = new FakeMunged()
  await munged.start()
})
afterAll(async () => {
  await munged.remove()
  rmSync(directory, { recursive: true })
})

/** The environment holds nothing of a gateway. */
const run = (parameters: readonly string[], more: CliOptions = {}) =>
  runCli(['munge-header', ...parameters], {
    ...more,
    environment: { MUNGE_SOCKET: munged.socketPath, ...more.environment },
  })

async function decodeLine(line: string) {
  const [, credential] = /^Authorization: MUNGE (MUNGE:[A-Za-z0-9+/=]+:)\n$/.exec(line) ?? []
  if (credential === undefined) throw new Error('not one header line')
  return createMungedClient(createMungedSocket({ path: munged.socketPath })).decode(credential)
}

test('prints the one header line: five seconds, restricted to nobody, bound to method and target', async () => {
  const target = '/slurm/latest/jobs?flags=DETAIL&update_time=1'
  const { exitCode, stdout, stderr } = await run(['GET', target])
  expect([exitCode, stderr]).toEqual([0, ''])
  const answer = await decodeLine(stdout)
  expect(answer).toMatchObject({ errorNumber: 0, ttlSeconds: 5, restrictedUid: null, restrictedGid: null })
  const digest = await digestRequest({ method: 'GET', target, body: new Uint8Array() })
  expect(parseBindingPayload(answer.payload)).toBe(digest)
})

test('binds the bytes of a file, or of stdin, as they are', async () => {
  const file = join(directory, 'job.bin')
  writeFileSync(file, BINARY)
  const digest = await digestRequest({ method: 'POST', target: SUBMIT, body: BINARY })
  for (const [body, input] of [[file, ''] as const, ['-', BINARY] as const]) {
    const { exitCode, stdout } = await run(['POST', SUBMIT, '--body', body], { input })
    expect(exitCode).toBe(0)
    expect(parseBindingPayload((await decodeLine(stdout)).payload), body).toBe(digest)
  }
})

test.each<[string, string[]]>([
  ['nothing', []],
  ['a method alone', ['GET']],
  ['three arguments', ['POST', SUBMIT, 'job.json']],
  ['a method in lower case', ['get', SUBMIT]],
  ['no method', ['', SUBMIT]],
  ['a whole URL', ['GET', 'https://HOST/slurm/latest/jobs']],
  ['a path without its slash', ['GET', 'slurm/latest/jobs']],
  ['a target with a space', ['GET', '/slurm/latest/jobs?x=a b']],
  ['a target with a line end', ['GET', '/slurm/latest/jobs\nX: y']],
  ['a target with letters that no URL has', ['GET', '/slurm/latest/job/ü']],
  ['a fragment', ['GET', '/slurm/latest/jobs#a']],
  ['a file that is not there', ['POST', SUBMIT, '--body', '/nonexistent/file']],
  ['a directory for a file', ['POST', SUBMIT, '--body', '/']],
  ['a body without an end', ['POST', SUBMIT, '--body', '/dev/zero']],
  ['a body twice', ['POST', SUBMIT, '--body', '/dev/null', '--body', '/dev/null']],
  ['an unknown option', ['POST', SUBMIT, '--ttl', '300']],
])('%s ends with 2, and munged is not asked', async (_what, parameters) => {
  const before = munged.requests
  const { exitCode, stdout, stderr } = await run(parameters)
  expect([exitCode, stdout]).toEqual([2, ''])
  expect(stderr).toMatch(/^slurmgate: /)
  expect(munged.requests).toBe(before)
})

test('a MUNGE_SOCKET that is no path ends with 2', async () => {
  const { exitCode, stderr } = await run(['GET', SUBMIT], { environment: { MUNGE_SOCKET: 'munge.socket' } })
  expect(exitCode).toBe(2)
  expect(stderr).toContain('MUNGE_SOCKET')
})

test('a munged that is missing, or that makes none, ends with 1 and says so', async () => {
  const missing = await run(['GET', SUBMIT], {
    environment: { MUNGE_SOCKET: join(directory, 'absent.socket') },
  })
  expect([missing.exitCode, missing.stdout]).toEqual([1, ''])
  expect(missing.stderr).toContain('is munged running')
  munged.behaviour = { kind: 'closes' }
  const closing = await run(['GET', SUBMIT])
  munged.behaviour = { kind: 'honest' }
  expect([closing.exitCode, closing.stdout]).toEqual([1, ''])
})
