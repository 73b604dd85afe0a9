/** A name service that takes seconds, as LDAP may: the real verifier process and a real munged, `getent` in a wrapper. */

import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildRemoteVerifier } from '../support/remote-verifier.ts'
import type { ClientAddress, MungeVerifier } from '../../src/ports.ts'
import { buildProgram } from '../support/build-program.ts'
import { buildMungeKey, MungeDaemon } from '../support/munge-daemon.ts'
import { Program, waitUntil } from '../support/program.ts'
import { findFreePort } from '../support/surroundings.ts'

const KEY = Buffer.alloc(32, 5)
const CLIENT: ClientAddress = { address: '127.0.0.1', isDirectLoopback: true, hostAddresses: [] }
const KNOWN = 6101
const NEW = 6102
/** Their names take three seconds each way. */
const SLOW = Array.from({ length: 20 }, (_, index) => 7101 + index)
const SLOW_SECONDS = 3

const whyNot = findReasonToSkip()
if (whyNot !== null) console.warn(`slow-names.test.ts is skipped: ${whyNot}`)

function findReasonToSkip(): string | null {
  if (process.getuid?.() !== 0) return 'credentials of many users are made as root only'
  try {
    execFileSync('munged', ['--version'])
    return null
  } catch {
    return 'no munged on the PATH (Debian: apt-get install munge)'
  }
}

let directory: string
let munged: MungeDaemon
let program: Program
let verifier: MungeVerifier

beforeAll(async () => {
  if (whyNot !== null) return
  directory = mkdtempSync(join(tmpdir(), 'slow-names-'))
  chmodSync(directory, 0o755)
  writeSlowGetent(join(directory, 'bin'))
  munged = await MungeDaemon.start({
    directory: join(directory, 'munge'),
    originAddress: '127.0.0.1',
    key: buildMungeKey(),
  })
  const port = await findFreePort()
  buildProgram(
    "import { runVerifier } from './functions/verifier.ts'\nvoid runVerifier(process.env)",
    join(directory, 'verifier.cjs'),
  )
  program = new Program(process.execPath, [join(directory, 'verifier.cjs')], {
    environment: {
      PATH: `${join(directory, 'bin')}:${process.env['PATH'] ?? ''}`,
      MUNGE_VERIFIER_KEY: KEY.toString('base64'),
      MUNGE_SOCKET: munged.socketPath,
      VERIFIER_PORT: String(port),
    },
  })
  await waitUntil('the verifier says it has started', () => program.stdout.includes('verifier_started'))
  verifier = buildRemoteVerifier({
    url: new URL(`http://127.0.0.1:${port}`),
    keys: [new Uint8Array(KEY)],
    fetch: (url, init) => fetch(url, init),
    clock: Date.now,
    randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
    timeoutMilliseconds: 30_000,
  })
})
afterAll(async () => {
  if (whyNot !== null) return
  await program.stop('SIGKILL')
  await munged.stop()
  rmSync(directory, { recursive: true, force: true })
})

/** uid 6101 is u6101, and so on; the slow ones stay a while, in a child, as a wrapper has it. */
function writeSlowGetent(bin: string): void {
  mkdirSync(bin)
  const script = [
    '#!/bin/sh',
    `case "$2" in *71??) sleep ${SLOW_SECONDS};; esac`,
    'uid="${2#u}"',
    `echo "$uid" >> '${join(directory, 'asked')}'`,
    'echo "u$uid:x:$uid:$uid::/:/bin/sh"',
  ]
  writeFileSync(join(bin, 'getent'), `${script.join('\n')}\n`)
  chmodSync(join(bin, 'getent'), 0o755)
}

const makeCredential = (uid: number): Promise<string> => munged.makeCredential(['-n', '-t', '5'], uid)

test.skipIf(whyNot !== null)(
  'users whose names take seconds hold up neither a known user nor a new one, and get their answer',
  async () => {
    expect(await verifier.verify(await makeCredential(KNOWN), CLIENT)).toMatchObject({ user: `u${KNOWN}` })
    const slowCredentials = await Promise.all(SLOW.map(makeCredential))
    const others = await Promise.all([...Array.from({ length: 20 }, () => KNOWN), NEW].map(makeCredential))
    let answered = 0
    const slow = slowCredentials.map(async (credential) => {
      const outcome = await verifier.verify(credential, CLIENT)
      answered += 1
      return outcome
    })

    for (const credential of others) {
      expect(await verifier.verify(credential, CLIENT)).toHaveProperty('user')
    }
    // None of the slow ones was there yet: nobody waited for them.
    expect(answered).toBe(0)

    expect(await Promise.all(slow)).toMatchObject(SLOW.map((uid) => ({ user: `u${uid}`, uid })))
    const asked = readFileSync(join(directory, 'asked'), 'utf8').trim().split('\n')
    expect(asked.filter((uid) => uid === String(KNOWN)).length).toBe(2)
  },
)
