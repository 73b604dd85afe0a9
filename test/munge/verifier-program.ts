/** The verifier as operators run it, a process, before a fake munged: one at a time, for the tests of a file. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest'
import { createMungedSocket } from '../../functions/node/munged-socket.ts'
import { createMungedClient } from '../../src/munge/munged-client.ts'
import { buildRemoteVerifier } from '../support/remote-verifier.ts'
import type { ClientAddress, MungeVerifier } from '../../src/ports.ts'
import { buildProgram } from '../support/build-program.ts'
import { FakeMunged } from '../support/fake-munged.ts'
import { findFreePort } from '../support/free-port.ts'
import { Program, waitUntil } from '../support/program.ts'

export const KEY = Buffer.alloc(32, 5)
export const CLIENT: ClientAddress = { address: '127.0.0.1', isDirectLoopback: true, hostAddresses: [] }

export interface VerifierProgram {
  readonly directory: string
  readonly fake: FakeMunged
  /** With exactly these settings. */
  run(environment: Record<string, string>): Program
  /** With the settings it needs, and these; on return it listens. */
  start(environment?: Record<string, string>): Promise<{ port: number; running: Program }>
  /** A credential of the fake munged, made by whoever runs the tests. */
  encode(): Promise<string>
}

/** To be called once in a file, outside of its tests. */
export function useVerifierProgram(): VerifierProgram {
  const directory = mkdtempSync(join(tmpdir(), 'verifier-'))
  const file = join(directory, 'verifier.cjs')
  let fake = new FakeMunged()
  let program: Program | null = null

  beforeAll(() =>
    buildProgram(
      "import { runVerifier } from './functions/verifier.ts'\nvoid runVerifier(process.env)",
      file,
    ),
  )
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
    program = new Program('node', [file], { environment })
    return program
  }

  return {
    directory,
    get fake() {
      return fake
    },
    run,
    async start(environment = {}) {
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
    },
    encode: () => createMungedClient(createMungedSocket({ path: fake.socketPath })).encode({ ttlSeconds: 5 }),
  }
}

/** A gateway's side, with the key of the program or another one. */
export function buildRemote(port: number, key: Uint8Array = KEY): MungeVerifier {
  return buildRemoteVerifier({
    url: new URL(`http://127.0.0.1:${port}`),
    keys: [new Uint8Array(key)],
    fetch: (url, init) => fetch(url, init),
    clock: Date.now,
    randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
  })
}
