/** The verifier as operators run it: a process, its settings, its listener, its log and its end. */

import { execFileSync } from 'node:child_process'
import { request as requestTls } from 'node:https'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Outage } from '../../src/refusal.ts'
import { makeEncryptionKey } from '../../src/signer/encryption-key.ts'
import { Program, waitUntil } from '../support/program.ts'
import { buildRemote, CLIENT, KEY, useVerifierProgram } from './verifier-program.ts'

const verifier = useVerifierProgram()

test('bad settings are all printed at once on stderr, by name, with exit code 2', async () => {
  const refused = verifier.run({
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
  const refused = verifier.run({
    MUNGE_VERIFIER_KEY: KEY.toString('base64'),
    TLS_CERT_FILE: join(verifier.directory, 'absent.pem'),
    TLS_KEY_FILE: join(verifier.directory, 'absent.key'),
  })
  expect(await refused.exit).toBe(2)
  expect(refused.stderr).toMatch(/TLS_CERT_FILE cannot be read[^]*TLS_KEY_FILE cannot be read/)
})

test('it starts with one JSON line that has its policy and no key, judges, logs and stops on SIGTERM', async () => {
  // Credentials of the fake are made by whoever runs the tests: as root, that is a refusal.
  const { port, running } = await verifier.start({ MUNGE_MIN_UID: '1' })
  const remote = buildRemote(port)
  await remote.check()
  const credential = await verifier.encode()
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

test('it says at its start whether it signs, with what, and for whom tokens are to be encrypted, and no key', async () => {
  const silent = await verifier.start()
  expect(JSON.parse(silent.running.lines[0] ?? '')).toMatchObject({ event: 'verifier_started', signs: false })
  await silent.running.stop('SIGTERM')

  const pair = await makeEncryptionKey()
  const write = (name: string, content: string): string => {
    const path = join(verifier.directory, name)
    writeFileSync(path, content, { mode: 0o600 })
    return path
  }
  const slurmKey = 'c'.repeat(32)
  const { running } = await verifier.start({
    VERIFIER_SIGNS: 'yes',
    // Nobody there: an outage of calls, and none of the start.
    DATABASE_URL: 'postgres://nobody:hunter2@127.0.0.1:1/none',
    SLURM_JWT_HS256_KEY_FILE: write('slurm.key', slurmKey),
    SIGNER_PRIVATE_KEY_FILE: write('signer.jwk', JSON.stringify(pair)),
    TOKEN_KEY_FILE: write('token.key', Buffer.alloc(32, 9).toString('base64')),
  })
  const started = running.lines.find((line) => line.includes('verifier_started')) ?? ''
  expect(JSON.parse(started)).toMatchObject({ signs: true, slurmKey: 'HS256', signerKeys: [pair.kid] })
  for (const secret of [slurmKey, pair.d ?? '-', 'hunter2', Buffer.alloc(32, 9).toString('base64')]) {
    expect(running.stdout).not.toContain(secret)
  }
})

test('SIGTERM during a verification lets it finish', async () => {
  const { port, running } = await verifier.start({ MUNGE_MIN_UID: '1' })
  const credential = await verifier.encode()
  verifier.fake.behaviour = { kind: 'slow', millisecondsPerByte: 10 }
  const verification = buildRemote(port).verify(credential, CLIENT)
  await waitUntil('munged was asked', () => verifier.fake.requests >= 2)
  await running.stop('SIGTERM')
  await verification
  expect(await running.exit).toBe(0)
})

test('it runs on without munged, says so at /readyz, and recovers by itself', async () => {
  const { port } = await verifier.start()
  const base = `http://127.0.0.1:${port}`
  expect((await fetch(`${base}/readyz`)).status).toBe(200)
  await verifier.fake.stop()
  await waitUntil('readiness is lost', async () => (await fetch(`${base}/readyz`)).status === 503)
  expect((await fetch(`${base}/healthz`)).status).toBe(200)
  const failure: unknown = await buildRemote(port)
    .check()
    .catch((error: unknown) => error)
  expect(failure instanceof Outage && failure.rule).toBe('munged_unavailable')
  await verifier.fake.start()
  await waitUntil('readiness is back', async () => (await fetch(`${base}/readyz`)).status === 200)
})

test('an address in use ends the process with an error, not in silence', async () => {
  const { port } = await verifier.start()
  const second = new Program('node', [join(verifier.directory, 'verifier.cjs')], {
    environment: { MUNGE_VERIFIER_KEY: KEY.toString('base64'), VERIFIER_PORT: String(port) },
  })
  expect(await second.exit).toBe(1)
  expect(second.stderr).toContain('EADDRINUSE')
})

test('with a certificate it speaks TLS and nothing else', async () => {
  const [certFile, keyFile] = [join(verifier.directory, 'cert.pem'), join(verifier.directory, 'key.pem')]
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '1']
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  execFileSync('openssl', ['req', '-x509', ...newKey, ...subject, '-keyout', keyFile, '-out', certFile], {
    stdio: 'ignore',
  })
  const { port } = await verifier.start({ TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile })
  const status = await new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path: '/healthz', rejectUnauthorized: false }
    requestTls(options, (response) => resolve(response.resume().statusCode))
      .on('error', reject)
      .end()
  })
  expect(status).toBe(200)
  await expect(fetch(`http://127.0.0.1:${port}/healthz`)).rejects.toThrow()
})
