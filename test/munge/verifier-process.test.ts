/** The verifier as operators run it: a process, its settings, its listener, its log and its end. */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { request as requestTls } from 'node:https'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { createRemoteVerifier } from '../../src/munge/remote-verifier.ts'
import type { ClientAddress, MungeVerifier } from '../../src/ports.ts'
import { Outage } from '../../src/refusal.ts'
import { buildProgram } from '../support/build-program.ts'
import { FakeMunged } from '../support/fake-munged.ts'
import { Program, waitUntil } from '../support/program.ts'
import { createMungedClient } from '../../src/munge/munged-client.ts'
import { createMungedSocket } from '../../functions/node/munged-socket.ts'

const KEY = Buffer.alloc(32, 5)
const CLIENT: ClientAddress = { address: '127.0.0.1', isDirectLoopback: true, hostAddresses: [] }

let directory: string
let fake: FakeMunged
let program: Program | null = null

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'verifier-'))
  buildProgram(
    "import { runVerifier } from './functions/verifier.ts'\nvoid runVerifier(process.env)",
    join(directory, 'verifier.cjs'),
  )
})
afterAll(() => rmSync(directory, { recursive: true }))
beforeEach(async () => {
  fake = new FakeMunged()
  await fake.start()
})
afterEach(async () => {
  await program?.stop('SIGKILL')
  await fake.remove()
})

function run(environment: Record<string, string>): Program {
  program = new Program('node', [join(directory, 'verifier.cjs')], { environment })
  return program
}

async function findFreePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function start(environment: Record<string, string> = {}): Promise<{ port: number; running: Program }> {
  const port = await findFreePort()
  const running = run({
    MUNGE_VERIFIER_KEY: KEY.toString('base64'),
    MUNGE_SOCKET: fake.socketPath,
    VERIFIER_PORT: String(port),
    ...environment,
  })
  await waitUntil('the verifier says it has started', () => {
    if (!running.isRunning) throw new Error(running.stderr)
    return running.stdout.includes('verifier_started')
  })
  return { port, running }
}

function buildRemote(port: number): MungeVerifier {
  return createRemoteVerifier({
    url: new URL(`http://127.0.0.1:${port}`),
    keys: [new Uint8Array(KEY)],
    fetch: (url, init) => fetch(url, init),
    clock: Date.now,
    randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
  })
}

const encode = (): Promise<string> =>
  createMungedClient(createMungedSocket({ path: fake.socketPath })).encode({ ttlSeconds: 5 })

test('bad settings are all printed at once on stderr, by name, with exit code 2', async () => {
  const refused = run({
    MUNGE_MAX_TTL_SECONDS: '300',
    VERIFIER_HOST: '0.0.0.0',
    MUNGE_VERIFIER_KEY: 'aGlkZGVu',
  })
  expect(await refused.exit).toBe(2)
  for (const name of ['MUNGE_MAX_TTL_SECONDS', 'VERIFIER_HOST', 'MUNGE_VERIFIER_KEY']) {
    expect(refused.stderr).toContain(name)
  }
  expect(refused.stdout).toBe('')
  expect(refused.stderr).not.toContain('aGlkZGVu')
})

test('TLS files that cannot be read are bad settings too', async () => {
  const refused = run({
    MUNGE_VERIFIER_KEY: KEY.toString('base64'),
    TLS_CERT_FILE: join(directory, 'absent.pem'),
    TLS_KEY_FILE: join(directory, 'absent.key'),
  })
  expect(await refused.exit).toBe(2)
  expect(refused.stderr).toMatch(/TLS_CERT_FILE cannot be read[^]*TLS_KEY_FILE cannot be read/)
})

test('it starts with one JSON line that has its policy and no key, judges, logs and stops on SIGTERM', async () => {
  // Credentials of the fake are made by whoever runs the tests: as root, that is a refusal.
  const { port, running } = await start({ MUNGE_MIN_UID: '1' })
  const remote = buildRemote(port)
  await remote.check()
  const credential = await encode()
  const outcome = await remote.verify(credential, CLIENT)
  const expected = process.getuid?.() === 0 ? { rule: 'munge_uid_too_low' } : { uid: process.getuid?.() }
  expect(outcome).toMatchObject(expected)
  expect(await remote.verify(credential, CLIENT)).toMatchObject({ rule: 'munge_replayed' })
  await running.stop('SIGTERM')
  expect(await running.exit).toBe(0)

  const lines = running.lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  expect(lines.map((line) => line['event'])).toEqual([
    'verifier_started',
    'munge_decision',
    'munge_decision',
    'verifier_stopping',
  ])
  expect(lines[0]).toMatchObject({ level: 'info', port, hostBinding: 'strict', maxTtlSeconds: 5 })
  expect(lines[2]).toMatchObject({
    level: 'audit',
    rule: 'munge_replayed',
    uid: process.getuid?.(),
    client: '127.0.0.1',
  })
  expect(running.stdout).not.toContain(KEY.toString('base64'))
  expect(running.stdout).not.toContain(credential.slice(6, 40))
})

test('SIGTERM during a verification lets it finish', async () => {
  const { port, running } = await start({ MUNGE_MIN_UID: '1' })
  const credential = await encode()
  fake.behaviour = { kind: 'slow', millisecondsPerByte: 10 }
  const verification = buildRemote(port).verify(credential, CLIENT)
  await waitUntil('munged was asked', () => fake.requests >= 2)
  await running.stop('SIGTERM')
  await verification
  expect(await running.exit).toBe(0)
})

test('it runs on without munged, says so at /readyz, and recovers by itself', async () => {
  const { port } = await start()
  const base = `http://127.0.0.1:${port}`
  expect((await fetch(`${base}/readyz`)).status).toBe(200)
  await fake.stop()
  await waitUntil('readiness is lost', async () => (await fetch(`${base}/readyz`)).status === 503)
  expect((await fetch(`${base}/healthz`)).status).toBe(200)
  const failure: unknown = await buildRemote(port)
    .check()
    .catch((error: unknown) => error)
  expect(failure instanceof Outage && failure.rule).toBe('munged_unavailable')
  await fake.start()
  await waitUntil('readiness is back', async () => (await fetch(`${base}/readyz`)).status === 200)
})

test('an address in use ends the process with an error, not in silence', async () => {
  const { port } = await start()
  const second = new Program('node', [join(directory, 'verifier.cjs')], {
    environment: { MUNGE_VERIFIER_KEY: KEY.toString('base64'), VERIFIER_PORT: String(port) },
  })
  expect(await second.exit).toBe(1)
  expect(second.stderr).toContain('EADDRINUSE')
})

test('with a certificate it speaks TLS and nothing else', async () => {
  const [certFile, keyFile] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '1']
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  execFileSync('openssl', ['req', '-x509', ...newKey, ...subject, '-keyout', keyFile, '-out', certFile], {
    stdio: 'ignore',
  })
  const { port } = await start({ TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile })
  const status = await new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path: '/healthz', rejectUnauthorized: false }
    requestTls(options, (response) => resolve(response.resume().statusCode))
      .on('error', reject)
      .end()
  })
  expect(status).toBe(200)
  await expect(fetch(`http://127.0.0.1:${port}/healthz`)).rejects.toThrow()
})
