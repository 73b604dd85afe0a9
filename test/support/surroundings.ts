/**
 * Everything around a gateway under test: Postgres, munged, a real verifier process and the fake slurmrestd, each
 * behind a relay that can take it away, and the CLI that issues tokens. Shared by both runtimes' conformance runs.
 */

import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FakeSlurmrestd } from './fake-slurmrestd.ts'
import { findFreePort } from './free-port.ts'
import { createLogin } from './login-role.ts'
import { MungeDaemon, buildMungeKey } from './munge-daemon.ts'
import { startTestPostgres } from './postgres.ts'
import { Program, waitUntil, type ProgramOptions } from './program.ts'
import { requestRaw } from './raw-http.ts'
import { Relay } from './relay.ts'
import { requireTestUsers, type TestUsers } from './test-user.ts'

/** Documentation addresses (RFC 5737): no test depends on the machine's own. */
export const HOME_ADDRESS = '192.0.2.10'
export const OTHER_ADDRESS = '192.0.2.11'

/** Other addresses of the two hosts, and those they share with each other. */
export const MAPPED_ADDRESS = '198.51.100.10'
export const MAPPED_IPV6_ADDRESS = '2001:db8::a'
export const SHARED_ADDRESS = '198.51.100.200'
const HOST_MAP = `
${HOME_ADDRESS} shared ${MAPPED_ADDRESS} ${MAPPED_IPV6_ADDRESS}/128 ${SHARED_ADDRESS}
${OTHER_ADDRESS} shared 198.51.100.11 ${SHARED_ADDRESS}
`

export const CLI_PATH = join(import.meta.dirname, '../../dist/cli.js')

export type Environment = Readonly<Record<string, string | undefined>>
export type HostBinding = 'strict' | 'map'

export interface Surroundings {
  /** Who signs Slurm tokens. */
  readonly signer: 'gateway' | 'verifier'
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
  /** What every verifier of the gateway's is configured with, but for its port. */
  readonly verifierEnvironment: Environment
  /** Verifiers of the same munged and key by their host binding, `map` with `HOST_MAP`; the gateway's is one of them. */
  readonly verifierUrls: Readonly<Record<HostBinding, string>>
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

/**
 * @param signer who signs Slurm tokens: with `verifier` no gateway has Slurm's key.
 * @param binding of the gateway's verifier.
 */
export async function startSurroundings(
  signer: 'gateway' | 'verifier' = 'gateway',
  binding: HostBinding = 'strict',
): Promise<Surroundings> {
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
  await runCli(['db', 'grants', '--apply'])
  // From here on every process has its own role of the database and no other right.
  const gatewayLogin = await createLogin(databaseUrl, { memberOf: ['slurmgate_gateway'] })
  const issuerLogin = await createLogin(databaseUrl, { memberOf: ['slurmgate_issuer'] })
  cliEnvironment.DATABASE_URL = issuerLogin.url

  const databaseRelay = await Relay.start({ host: database.hostname, port: Number(database.port) })
  const relayedDatabase = new URL(gatewayLogin.url)
  relayedDatabase.hostname = '127.0.0.1'
  relayedDatabase.port = String(databaseRelay.port)
  const slurmKeyText = Buffer.from(slurmKey).toString('base64')
  const signing = await buildSigning(signer, {
    directory,
    slurmKey: slurmKeyText,
    databaseUrl: relayedDatabase.href,
    runCli,
  })
  Object.assign(cliEnvironment, signing.cli)
  const verifierSettings = {
    MUNGE_SOCKET: munge.socketPath,
    MUNGE_VERIFIER_KEY: verifierKey,
    ...signing.verifier,
  }
  const hostMapFile = join(directory, 'hosts.map')
  writeFileSync(hostMapFile, HOST_MAP, { mode: 0o644 })
  const verifierEnvironments = {
    strict: verifierSettings,
    map: { ...verifierSettings, MUNGE_HOST_BINDING: 'map', MUNGE_HOST_MAP_FILE: hostMapFile },
  }
  const [strictVerifier, mapVerifier] = await Promise.all([
    startVerifier(verifierEnvironments.strict),
    startVerifier(verifierEnvironments.map),
  ])
  const verifierPorts = { strict: strictVerifier.port, map: mapVerifier.port }
  const relays = {
    database: databaseRelay,
    verifier: await Relay.start({ host: '127.0.0.1', port: verifierPorts[binding] }),
    upstream: await Relay.start({ host: '127.0.0.1', port: upstream.port }),
  }

  const secrets = new Set([slurmKeyText, verifierKey, Buffer.from(mungeKey).toString('base64')])
  for (const url of [databaseUrl, gatewayLogin.url, issuerLogin.url]) secrets.add(new URL(url).password)
  return {
    signer,
    users,
    slurmKey,
    upstream,
    munge,
    otherHostMunge,
    otherClusterMunge,
    relays,
    verifierEnvironment: verifierEnvironments[binding],
    verifierUrls: {
      strict: `http://127.0.0.1:${String(verifierPorts.strict)}`,
      map: `http://127.0.0.1:${String(verifierPorts.map)}`,
    },
    secrets,
    errorAnswers: [],
    runCli,
    gatewayEnvironment: {
      DATABASE_URL: relayedDatabase.href,
      SLURMRESTD_URL: `http://127.0.0.1:${String(relays.upstream.port)}`,
      ...signing.gateway,
      MUNGE_MODE: 'remote',
      MUNGE_VERIFIER_URL: `http://127.0.0.1:${String(relays.verifier.port)}`,
      MUNGE_VERIFIER_KEY: verifierKey,
      UPSTREAM_TIMEOUT_SECONDS: '2',
      // What is sent and what is asked are counted; cases about the cache say otherwise.
      CACHE_TTL_SECONDS: '0',
      SLURM_DENIED_USERS: 'root,slurm,slurmrest,munge,nobody,carol',
      LOG_LEVEL: 'debug',
    },
    get lines() {
      return [
        ...strictVerifier.program.lines,
        ...mapVerifier.program.lines,
        ...munge.lines,
        ...otherHostMunge.lines,
        ...otherClusterMunge.lines,
        ...cliLines,
      ]
    },
    async stop() {
      await Promise.all([strictVerifier.program.stop(), mapVerifier.program.stop()])
      await Promise.all(Object.values(relays).map((relay) => relay.stop()))
      await Promise.all([munge.stop(), otherHostMunge.stop(), otherClusterMunge.stop(), upstream.stop()])
      await postgres.stop()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** What verifier and gateway are told of who signs. */
async function buildSigning(
  signer: 'gateway' | 'verifier',
  parts: {
    readonly directory: string
    readonly slurmKey: string
    readonly databaseUrl: string
    readonly runCli: Surroundings['runCli']
  },
): Promise<Readonly<Record<'verifier' | 'gateway' | 'cli', Environment>>> {
  if (signer === 'gateway') {
    return {
      verifier: {},
      cli: {},
      gateway: { SLURM_JWT_HS256_KEY: parts.slurmKey, SLURM_KEY_AT_EDGE: 'accept-cluster-root' },
    }
  }
  const keyFile = join(parts.directory, 'signer.jwk')
  const tokenKeyFile = join(parts.directory, 'token.key')
  writeFileSync(tokenKeyFile, randomBytes(32).toString('base64'), { mode: 0o600 })
  const publicKey = await parts.runCli(['signer-key', 'new', keyFile])
  return {
    verifier: {
      VERIFIER_SIGNS: 'yes',
      DATABASE_URL: parts.databaseUrl,
      SLURM_JWT_HS256_KEY: parts.slurmKey,
      SIGNER_PRIVATE_KEY_FILE: keyFile,
      TOKEN_KEY_FILE: tokenKeyFile,
    },
    cli: { TOKEN_KEY_FILE: tokenKeyFile },
    gateway: { SLURM_TOKEN_SIGNER: 'verifier', SIGNER_PUBLIC_KEY: publicKey.trim() },
  }
}

/** One that answers. */
export async function startVerifier(environment: Environment): Promise<{ program: Program; port: number }> {
  const port = await findFreePort()
  const program = new Program(process.execPath, [CLI_PATH, 'verifier'], {
    environment: { ...environment, VERIFIER_PORT: String(port), LOG_LEVEL: 'debug' },
  })
  await waitUntil('the verifier listens', async () => {
    if (!program.isRunning) throw new Error(`the verifier ended: ${program.lines.join('\n')}`)
    return isAnswering(port)
  })
  return { program, port }
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
