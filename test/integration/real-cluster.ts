/**
 * What the integration tests stand on: a real one-node Slurm with accounting, the munged it trusts, Postgres, and
 * gateways started against them as an operator would start them.
 */

import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startCluster, type Cluster, type Suite } from '../../functions/up/cluster.ts'
import { startMunged, type Munged } from '../../functions/up/munged.ts'
import { startTestPostgres } from '../support/postgres.ts'
import { Program, runProgram, waitUntil } from '../support/program.ts'
import { requestRaw, type RawAnswer, type RawRequest } from '../support/raw-http.ts'
import { CLI_PATH, findFreePort, isAnswering, type Environment } from '../support/surroundings.ts'

/** uid 6001 and 6002 stand in the passwd file that `test/run.mjs` gives the tests. */
export const ALICE = { name: 'alice', uid: 6001 } as const
export const BOB = { name: 'bob', uid: 6002 } as const
export const OWN_ACCOUNT = 'ownerlab'
export const OTHER_ACCOUNT = 'otherlab'

export interface RealClusterOptions {
  /** Debian's, whose Slurm it is. */
  readonly suite: Suite
  /** Clusters of different names run side by side. */
  readonly instance: string
}

export interface RealCluster {
  readonly suite: Suite
  readonly slurm: Cluster
  readonly munged: Munged
  /** The same key as `munged`, on "another host". */
  readonly otherHost: Munged
  readonly databaseUrl: string
  startGateway(environment?: Environment): Promise<RealGateway>
  /** @returns the token. */
  issueToken(account: string | null, parameters?: readonly string[]): Promise<string>
  /** As `user`, on this host unless another socket is given. */
  makeCredential(parameters?: readonly string[], user?: { uid: number }, socket?: string): string
  stop(): Promise<void>
}

export interface RealGateway {
  readonly port: number
  readonly program: Program
  call(request: RawRequest): Promise<RawAnswer>
  stop(): Promise<void>
}

const USUAL: RealClusterOptions = { suite: 'trixie', instance: 'test' }

export async function startRealCluster({ suite, instance } = USUAL): Promise<RealCluster> {
  const directory = mkdtempSync(join(tmpdir(), 'slurmgate-real-'))
  chmodSync(directory, 0o755)
  const keyFile = join(directory, 'keys/munge.key')
  const socket = join(directory, 'munge/munge.socket.2')
  const munged = await startMunged({ socket, keyFile, dir: join(directory, 'munge') })
  const otherHost = await startMunged({
    socket: join(directory, 'other/munge.socket.2'),
    keyFile,
    dir: join(directory, 'other'),
    origin: '192.0.2.7',
  })
  const accounts = [OWN_ACCOUNT, OTHER_ACCOUNT]
  const [slurm, postgres] = await Promise.all([
    startCluster({
      suite,
      instance,
      mungeSocket: socket,
      // The default account is the other one: what a gate forgets to set lands there.
      users: [ALICE, BOB].map((user) => ({ ...user, accounts, defaultAccount: OTHER_ACCOUNT })),
      fresh: true,
      onProgress: (line) => process.stderr.write(`  ${instance}: ${line}\n`),
    }),
    startTestPostgres(),
  ])
  const databaseUrl = postgres.url
  await runProgram(process.execPath, [CLI_PATH, 'db', 'migrate'], {
    environment: { DATABASE_URL: databaseUrl },
  })

  return {
    suite,
    slurm,
    munged,
    otherHost,
    databaseUrl,
    startGateway: (environment = {}) => startGateway({ slurm, munged, databaseUrl }, environment),
    issueToken: (account, parameters = []) => issueToken(databaseUrl, account, parameters),
    makeCredential: (parameters = ['-n', '-t', '5'], user = ALICE, from = socket) =>
      execFileSync('setpriv', [...asUser(user.uid), 'munge', `--socket=${from}`, ...parameters], {
        encoding: 'utf8',
      }).trimEnd(),
    async stop() {
      await slurm.stop()
      await Promise.all([munged.stop(), otherHost.stop(), postgres.stop()])
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

export function asUser(uid: number): string[] {
  return [`--reuid=${String(uid)}`, `--regid=${String(uid)}`, '--clear-groups', '--']
}

async function startGateway(
  { slurm, munged, databaseUrl }: { slurm: Cluster; munged: Munged; databaseUrl: string },
  environment: Environment,
): Promise<RealGateway> {
  const port = await findFreePort()
  const program = new Program(process.execPath, [CLI_PATH, 'gateway'], {
    environment: {
      DATABASE_URL: databaseUrl,
      SLURMRESTD_URL: slurm.slurmrestdUrl,
      SLURM_JWT_HS256_KEY_FILE: slurm.hs256KeyFile,
      MUNGE_SOCKET: munged.socket,
      PORT: String(port),
      ...environment,
    },
  })
  await waitUntil('the gateway listens', async () => {
    if (!program.isRunning) throw new Error(`the gateway ended: ${program.lines.join('\n')}`)
    return isAnswering(port)
  })
  return {
    port,
    program,
    call: (request) => requestRaw({ host: '127.0.0.1', port }, request, { timeoutMilliseconds: 30_000 }),
    stop: () => program.stop(),
  }
}

async function issueToken(
  databaseUrl: string,
  account: string | null,
  parameters: readonly string[],
): Promise<string> {
  const restriction = account === null ? ['--any-account'] : ['--account', account]
  const scopes = ['--scope', 'slurm:read,slurmdb:read,slurm:jobs:manage']
  const names = ['--name', 'integration', '--user', ALICE.name, '--issued-by', 'tests']
  const issued = await runProgram(
    process.execPath,
    [CLI_PATH, 'token', 'issue', ...names, ...restriction, ...scopes, ...parameters],
    { environment: { DATABASE_URL: databaseUrl } },
  )
  return issued.trimEnd()
}

/** A parsed answer of slurmrestd; only what the tests look at. */
export interface SlurmAnswer {
  readonly job_id?: number
  readonly jobs?: readonly {
    readonly job_id: number
    readonly account: string
    readonly user_name: string
    readonly job_state: readonly string[]
    readonly comment: string
  }[]
  readonly errors?: readonly {
    readonly error_number: number
    readonly error: string
    readonly description: string
  }[]
  readonly paths?: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

export function parseAnswer(answer: RawAnswer): SlurmAnswer {
  return JSON.parse(answer.body.toString('utf8')) as SlurmAnswer
}

export function bearer(token: string): readonly [string, string] {
  return ['Authorization', `Bearer ${token}`]
}

export function mungeHeader(credential: string): readonly [string, string] {
  return ['Authorization', `MUNGE ${credential}`]
}

export const JSON_TYPE = ['Content-Type', 'application/json'] as const

/** A job that waits: nothing runs it before the test looks. */
export function buildJob(fields: Readonly<Record<string, unknown>> = {}): string {
  const job = {
    name: 'integration',
    environment: ['PATH=/usr/bin:/bin'],
    current_working_directory: '/tmp',
    script: '#!/bin/bash\nsleep 1\n',
    hold: true,
    ...fields,
  }
  return JSON.stringify({ job })
}
