/**
 * A verifier in a process of its own, and the part of a gateway that asks it: over HTTP, with signed calls, then the claim.
 * Where it signs, the verifier claims.
 */

import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, ftruncateSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { nodeSha256 } from '../../functions/node/node-sha256.ts'
import { createUndiciPost } from '../../functions/node/undici-post.ts'
import { createAuthenticator, type Authenticate } from '../../src/authenticate.ts'
import { createRemoteVerifier } from '../../src/munge/remote-verifier.ts'
import { createVerifierChannel } from '../../src/munge/verifier-channel.ts'
import type { ReplayGuard, TokenLookUp } from '../../src/ports.ts'
import { findFreePort } from '../support/free-port.ts'
import { waitUntil } from '../support/program.ts'
import { readRunTime } from './processor-time.ts'
import type { Held } from './measured-verifier.ts'
import type { SigningSettings } from './signing-settings.ts'

const CLIENT = { address: '127.0.0.1', isDirectLoopback: true, hostAddresses: [] }
const NO_TOKENS: TokenLookUp = { find: () => null }

export class VerifierUnderLoad {
  readonly #child: ChildProcess
  readonly #logFile: number
  readonly #logPath: string
  readonly #url: URL
  readonly #key: string
  readonly #signing: SigningSettings | null

  private constructor(directory: string, socketPath: string, port: number, signing: SigningSettings | null) {
    this.#signing = signing
    this.#key = randomBytes(32).toString('base64')
    this.#url = new URL(`http://127.0.0.1:${String(port)}`)
    this.#logPath = join(directory, `verifier-${String(port)}.log`)
    this.#logFile = openSync(this.#logPath, 'a')
    this.#child = spawn(process.execPath, ['--expose-gc', join(directory, 'verifier.cjs')], {
      env: {
        PATH: process.env['PATH'],
        MUNGE_SOCKET: socketPath,
        MUNGE_VERIFIER_KEY: this.#key,
        VERIFIER_PORT: String(port),
        ...signing?.environment,
      },
      stdio: ['ignore', this.#logFile, 'inherit', 'ipc'],
    })
  }

  /** @param signing null: it signs nothing. */
  static async start(
    directory: string,
    socketPath: string,
    signing: SigningSettings | null = null,
  ): Promise<VerifierUnderLoad> {
    const verifier = new VerifierUnderLoad(directory, socketPath, await findFreePort(), signing)
    await waitUntil('the verifier has started', () => verifier.#readLog().includes('verifier_started'))
    verifier.takeDecisions()
    return verifier
  }

  /** A gateway's question, "who is this?", replay guard and all: where the verifier signs, its own guard. */
  buildAuthenticate(replays: ReplayGuard): Authenticate {
    const channel = createVerifierChannel({
      url: this.#url,
      keys: [Uint8Array.from(Buffer.from(this.#key, 'base64'))],
      fetch,
      post: createUndiciPost(this.#url),
      sha256: nodeSha256,
      clock: Date.now,
      randomBytes,
      encryptionKey: this.#signing?.encryptionKey ?? null,
    })
    const isSignedThere = this.#signing !== null
    const munge = createRemoteVerifier({ channel, isSignedThere, sha256: nodeSha256 })
    return createAuthenticator({
      munge,
      replays,
      tokens: NO_TOKENS,
      sha256: nodeSha256,
      deniedUsers: new Set(['root']),
      bearerUserNames: new Set(),
      areAdminScopesOn: false,
      confirm: null,
      now: Date.now,
    })
  }

  /** How many accepted credentials the log has a line about since the last time it was asked. */
  takeDecisions(): number {
    const accepted = this.#readLog().split('"outcome":"accepted"').length - 1
    ftruncateSync(this.#logFile)
    return accepted
  }

  /** Of the verifier and of this process so far, in microseconds: what both ends of the calls have cost. */
  findProcessorTime(): number {
    const { pid } = this.#child
    if (pid === undefined) throw new Error('the verifier did not start')
    return readRunTime(pid) + readRunTime(process.pid)
  }

  async findHeld(): Promise<Held> {
    this.#child.send('how much?')
    const [held] = (await once(this.#child, 'message')) as [Held]
    return held
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    await ended
    closeSync(this.#logFile)
  }

  #readLog(): string {
    return readFileSync(this.#logPath, 'latin1')
  }
}

/** @throws where the credential is not accepted. */
export async function requireAccepted(authenticate: Authenticate, credential: string): Promise<void> {
  const principal = await authenticate({ kind: 'munge', credential, userName: null }, CLIENT)
  if ('kind' in principal) throw new Error(`refused: ${principal.rule}`)
}
