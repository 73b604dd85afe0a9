/**
 * Everything around a gateway under test: Postgres, munged, a real verifier process and the fake slurmrestd, each
 * behind a relay that can take it away, and the CLI that issues tokens. Shared by both runtimes' conformance runs.
 */

import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FakeSlurmrestd } from './fake-slurmrestd.ts'
import { findFreePort } from './free-port.ts'
import { MungeDaemon, buildMungeKey } from './munge-daemon.ts'
import { startTestPostgres } from './postgres.ts'
import { Program, waitUntil, type ProgramOptions } from './program.ts'
import { requestRaw } from './raw-http.ts'
import { Relay } from './relay.ts'
import { requireTestUsers, type TestUsers } from './test-user.ts'

/** Documentation addresses (RFC 5737): no test depends on the machine's own. */
export const HOME_ADDRESS = '192.0.2.10'
export const OTHER_ADDRESS = '192.0.2.11'

export const CLI_PATH = join(import.meta.dirname, '../../dist/cli.js')

export type Environment = Readonly<Record<string, string | undefined>>

export interface Surroundings {
  readonly users: TestUsers
  readonly slurmKey: Uint8Array
  readonly upstream: FakeSlurmrestd
  /** The verifier's own munged; credentials of it were made on `HOME_ADDRESS`. */
  readonly munge: MungeDaemon
  /** The same key on another host, `OTHER_ADDRESS`. */
  readonly otherHostMunge: MungeDaemon
  /** Another cluster: another key, the same address. */
  readonly otherClusterMunge: MungeDaemon
  readonly relays: { readonly database: Relay; readonly verifier: Relay; readonly upstream: Relay }
  /** What a gateway is configured with, but for the runtime's own and how it learns addresses. */
  readonly gatewayEnvironment: Environment
  /** Nothing printed may contain one of these. */
  readonly secrets: Set<string>
  runCli(parameters: readonly string[], options?: ProgramOptions): Promise<string>
  /** The gate's own error answers, heads and bodies, as clients got them. */
  readonly errorAnswers: string[]
  /** All that the verifier, the CLI (but for what it was asked to print) and munged printed so far. */
  readonly lines: readonly string[]
  stop(): Promise<void>
}

export async function startSurroundings(): Promise<Surroundings> {
  const users = requireTestUsers()
  const directory = mkdtempSync(join(tmpdir(), 'slurmgate-test-'))
  chmodSync(directory, 0o755)
  const slurmKey = randomBytes(32)
  const verifierKey = randomBytes(32).toString('base64')
  const mungeKey = buildMungeKey()
  const startMunge = (name: string, originAddress: string, key: Uint8Array): Promise<MungeDaemon> =>
    MungeDaemon.start({ directory: join(directory, name), originAddress, key })

  const [postgres, upstream, munge, otherHostMunge, otherClusterMunge] = await Promise.all([
    startTestPostgres(),
    FakeSlurmrestd.start(slurmKey),
    startMunge('home', HOME_ADDRESS, mungeKey),
    startMunge('other-host', OTHER_ADDRESS, mungeKey),
    startMunge('other-cluster', HOME_ADDRESS, buildMungeKey()),
  ])
  const databaseUrl = postgres.url
  const database = new URL(databaseUrl)
  const cliEnvironment = {
    DATABASE_URL: databaseUrl,
    SLURMRESTD_URL: `http://127.0.0.1:${String(upstream.port)}`,
  }
  const cliLines: string[] = []
  const runCli = async (parameters: readonly string[], options: ProgramOptions = {}): Promise<string> => {
    const environment = { ...cliEnvironment, ...options.environment }
    const program = new Program(process.execPath, [CLI_PATH, ...parameters], { ...options, environment })
    const code = await program.exit
    cliLines.push(program.stderr)
    if (code !== 0) throw new Error(`slurmgate ${parameters.slice(0, 2).join(' ')}: ${program.stderr}`)
    return program.stdout
  }
  await runCli(['db', 'migrate'])

  const verifierPort = await findFreePort()
  const verifier = new Program(process.execPath, [CLI_PATH, 'verifier'], {
    environment: {
      MUNGE_SOCKET: munge.socketPath,
      MUNGE_VERIFIER_KEY: verifierKey,
      VERIFIER_HOST: '127.0.0.1',
      VERIFIER_PORT: String(verifierPort),
      LOG_LEVEL: 'debug',
    },
  })
  await waitUntil('the verifier listens', async () => {
    if (!verifier.isRunning) throw new Error(`the verifier ended: ${verifier.lines.join('\n')}`)
    return isAnswering(verifierPort)
  })
  const relays = {
    database: await Relay.start({ host: database.hostname, port: Number(database.port) }),
    verifier: await Relay.start({ host: '127.0.0.1', port: verifierPort }),
    upstream: await Relay.start({ host: '127.0.0.1', port: upstream.port }),
  }
  const relayedDatabase = new URL(databaseUrl)
  relayedDatabase.hostname = '127.0.0.1'
  relayedDatabase.port = String(relays.database.port)

  const slurmKeyText = Buffer.from(slurmKey).toString('base64')
  const secrets = new Set([slurmKeyText, verifierKey, Buffer.from(mungeKey).toString('base64')])
  if (database.password !== '') secrets.add(database.password)
  return {
    users,
    slurmKey,
    upstream,
    munge,
    otherHostMunge,
    otherClusterMunge,
    relays,
    secrets,
    errorAnswers: [],
    runCli,
    gatewayEnvironment: {
      DATABASE_URL: relayedDatabase.href,
      SLURMRESTD_URL: `http://127.0.0.1:${String(relays.upstream.port)}`,
      SLURM_JWT_HS256_KEY: slurmKeyText,
      MUNGE_MODE: 'remote',
      MUNGE_VERIFIER_URL: `http://127.0.0.1:${String(relays.verifier.port)}`,
      MUNGE_VERIFIER_KEY: verifierKey,
      UPSTREAM_TIMEOUT_SECONDS: '2',
      SLURM_DENIED_USERS: 'root,slurm,slurmrest,munge,nobody,carol',
      LOG_LEVEL: 'debug',
    },
    get lines() {
      return [
        ...verifier.lines,
        ...munge.lines,
        ...otherHostMunge.lines,
        ...otherClusterMunge.lines,
        ...cliLines,
      ]
    },
    async stop() {
      await verifier.stop()
      await Promise.all(Object.values(relays).map((relay) => relay.stop()))
      await Promise.all([munge.stop(), otherHostMunge.stop(), otherClusterMunge.stop(), upstream.stop()])
      await postgres.stop()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

export { findFreePort }

/** Whether an HTTP server answers there, with whatever status. */
export async function isAnswering(port: number, target = '/healthz'): Promise<boolean> {
  return requestRaw(
    { host: '127.0.0.1', port },
    { method: 'GET', target },
    { timeoutMilliseconds: 2000 },
  ).then(
    () => true,
    () => false,
  )
}
