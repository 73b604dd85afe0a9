/**
 * What exchanging Slurm's keys takes: their files and when Slurm reads them, whom a key still opens Slurm to, and callers who go
 * on meanwhile. It puts Slurm's keys back.
 */

import { generateKeyPairSync } from 'node:crypto'
import { chownSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { Suite } from '../../../functions/up/cluster.ts'
import { slurmUid } from '../../../functions/up/cluster-config.ts'
import { buildDescription, buildSubmission, OLD_STYLE_UNTIL } from '../../adversarial/daemon-versions.ts'
import { requestRaw, type RawAnswer, type RawHeader } from '../../support/raw-http.ts'
import { startSteadyCaller } from '../../support/steady-caller.ts'
import type { Environment } from '../../support/surroundings.ts'
import { bearer, JSON_TYPE, parseAnswer, type RealCluster } from '../real-cluster.ts'

export const HS256_FILE = 'jwt_hs256.key'
const JWKS_FILE = 'jwks.json'
/** How a Slurm takes an exchange of its keys (measured). */
interface KeyHabits {
  /** Whether slurmctld reads them at `scontrol reconfigure`, or at its start only. slurmdbd reads them at its start everywhere. */
  readonly readsAtReconfigure: boolean
  /** What a gateway gets of slurmctld, then of slurmdbd, with a key that they do not take: for their lists of jobs and of users. */
  readonly refused: readonly [string, string]
  /** What callers get of slurmctld meanwhile, whatever they ask of it. */
  readonly refusedCalls: readonly string[]
}

/**
 * Of its slurmctld 22.05 says nothing else, and of its slurmdbd 26.05, where that is down: so the gate cannot call either a refusal of
 * its token.
 */
const HABITS: Readonly<Record<Suite, KeyHabits>> = {
  bookworm: {
    readsAtReconfigure: false,
    refused: ['500 Unspecified error', '502 slurm_token_refused'],
    refusedCalls: ['500 Unspecified error', '500 Zero Bytes were transmitted or received'],
  },
  trixie: {
    readsAtReconfigure: true,
    refused: ['502 slurm_token_refused', '502 slurm_token_refused'],
    refusedCalls: ['502 slurm_token_refused'],
  },
  forky: {
    readsAtReconfigure: true,
    refused: ['502 slurm_token_refused', '502 Unable to connect to database'],
    refusedCalls: ['502 slurm_token_refused'],
  },
}

const JOB_NAME = 'rotation'
/** Slurm keeps ended jobs for minutes, and tells them all to whoever asks for jobs. */
const SUBMIT_REST_MILLISECONDS = 200

/** Who calls meanwhile: each makes the headers of its next call. */
export interface Callers {
  readonly port: () => number
  readonly readers: readonly (() => readonly RawHeader[])[]
  readonly submitter: () => readonly RawHeader[]
}

export interface Watch {
  /** Until each of them has made so many calls from now on. */
  waitForCalls(count: number): Promise<void>
  /** Ends them; every good submission is one job, and no other is. @returns the readers' failures, then the submitter's. */
  stop(): Promise<readonly Readonly<Record<string, number>>[]>
}

export class SlurmKeyExchange {
  readonly #requireCluster: () => RealCluster
  readonly #directory = mkdtempSync(join(tmpdir(), 'slurmgate-rotation-'))
  readonly #before = new Map<string, Buffer>()

  constructor(requireCluster: () => RealCluster) {
    this.#requireCluster = requireCluster
  }

  get habits(): KeyHabits {
    return HABITS[this.#requireCluster().suite]
  }

  begin(): void {
    for (const name of [HS256_FILE, JWKS_FILE]) this.#before.set(name, readFileSync(this.#keyPath(name)))
  }

  async end(): Promise<void> {
    for (const [name, bytes] of this.#before) this.installKey(name, bytes)
    await this.readKeysAnew()
    await this.#requireCluster().slurm.run(['scancel', '--user=alice', `--name=${JOB_NAME}`])
    rmSync(this.#directory, { recursive: true, force: true })
  }

  /** Where Slurm reads it; exchanged at once, as an operator should. */
  installKey(name: string, bytes: Uint8Array | string): void {
    const path = this.#keyPath(name)
    writeFileSync(`${path}.new`, bytes, { mode: 0o600 })
    chownSync(`${path}.new`, slurmUid, slurmUid)
    renameSync(`${path}.new`, path)
  }
  installJwks(keys: readonly object[]): void {
    this.installKey(JWKS_FILE, JSON.stringify({ keys }))
  }
  readJwks(): readonly object[] {
    return (JSON.parse(readFileSync(this.#keyPath(JWKS_FILE), 'utf8')) as { keys: object[] }).keys
  }

  async reconfigure(): Promise<void> {
    const { code, stderr } = await this.#requireCluster().slurm.run(['scontrol', 'reconfigure'])
    expect(code, stderr).toBe(0)
  }
  async readKeysInSlurmctld(): Promise<void> {
    if (this.habits.readsAtReconfigure) await this.reconfigure()
    else await this.#requireCluster().slurm.restart('slurmctld')
  }
  async readKeysAnew(): Promise<void> {
    await this.readKeysInSlurmctld()
    await this.#requireCluster().slurm.restart('slurmdbd')
  }

  /** The environment of who signs with the key that Slurm has now. */
  useHs256OfSlurm(): Environment {
    return this.useHs256('slurm.key', readFileSync(this.#keyPath(HS256_FILE)))
  }
  useHs256(name: string, bytes: Uint8Array): Environment {
    return { SLURM_JWT_HS256_KEY_FILE: this.#write(name, bytes), SLURM_JWT_RS256_JWK_FILE: undefined }
  }
  useRs256(path: string): Environment {
    return { SLURM_JWT_HS256_KEY_FILE: undefined, SLURM_JWT_RS256_JWK_FILE: path }
  }
  /** @returns the public half, for Slurm's JWKS, and the environment of who signs with the private one. */
  makeRs256(kid: string): { readonly jwk: object; readonly environment: Environment } {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const text = JSON.stringify({ ...privateKey.export({ format: 'jwk' }), alg: 'RS256', kid })
    return {
      jwk: { ...publicKey.export({ format: 'jwk' }), alg: 'RS256', kid },
      environment: this.useRs256(this.#write(`${kid}.jwk`, text)),
    }
  }

  /** What a gateway with this key gets of slurmctld and of slurmdbd. */
  async ask(environment: Environment, token: string): Promise<readonly string[]> {
    const tried = await this.#requireCluster().startGateway(environment)
    const answers = await Promise.all(
      ['/slurm/latest/jobs', '/slurmdb/latest/users'].map((target) =>
        tried.call({ method: 'GET', target, headers: [bearer(token)] }),
      ),
    )
    await tried.stop()
    return answers.map((answer) => `${String(answer.status)} ${parseAnswer(answer).errors?.[0]?.error ?? ''}`)
  }

  /** Until its test is over at the latest. */
  async watch({ port, readers, submitter }: Callers): Promise<Watch> {
    const jobs = await this.#countJobs()
    const reading = readers.map((makeHeaders) =>
      startSteadyCaller(async () => read(port(), '/slurm/latest/diag', makeHeaders())),
    )
    const body = buildWaitingJob(this.#requireCluster().suite)
    const submitting = startSteadyCaller(
      async () => submit(port(), submitter(), body),
      SUBMIT_REST_MILLISECONDS,
    )
    return {
      async waitForCalls(count) {
        await Promise.all([...reading, submitting].map((caller) => caller.waitForCalls(count)))
      },
      stop: async () => {
        const tallies = await Promise.all(reading.map((caller) => caller.stop()))
        const submitted = await submitting.stop()
        const failures = [...tallies, submitted].map((tally) => tally.failures)
        expect(await this.#countJobs(), JSON.stringify(failures)).toBe(jobs + submitted.good)
        return failures
      },
    }
  }

  async #countJobs(): Promise<number> {
    const { stdout } = await this.#requireCluster().slurm.run(['squeue', '-h', '-n', JOB_NAME, '-o', '%i'])
    return stdout.split('\n').filter((line) => line !== '').length
  }
  #keyPath(name: string): string {
    return join(this.#requireCluster().slurm.instanceDir, 'state/keys', name)
  }
  #write(name: string, bytes: Uint8Array | string): string {
    const path = join(this.#directory, name)
    writeFileSync(path, bytes, { mode: 0o600 })
    return path
  }
}

export function read(port: number, target: string, headers: readonly RawHeader[]): Promise<RawAnswer> {
  const request = { method: 'GET', target, headers }
  return requestRaw({ host: '127.0.0.1', port }, request, { timeoutMilliseconds: 30_000 })
}

/** In the form of the newest API version there. */
function buildWaitingJob(suite: Suite): string {
  const version = suite === 'bookworm' ? OLD_STYLE_UNTIL : OLD_STYLE_UNTIL + 1
  return JSON.stringify(buildSubmission(version, [buildDescription(version, { name: JOB_NAME })]))
}

function submit(port: number, headers: readonly RawHeader[], body: string): Promise<RawAnswer> {
  const request = {
    method: 'POST',
    target: '/slurm/latest/job/submit',
    headers: [...headers, JSON_TYPE],
    body,
  }
  return requestRaw({ host: '127.0.0.1', port }, request, { timeoutMilliseconds: 30_000 })
}
