/**
 * What every row stands on: Postgres, munged, API tokens issued as an operator issues them, and gateways started from the
 * built program. Whatever is started here ends with the stand.
 */

import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { requireCommand } from '../../functions/up/command.ts'
import { startDaemon, waitUntilReady, type Daemon } from '../../functions/up/daemon.ts'
import { startMunged, type Munged } from '../../functions/up/munged.ts'
import { findFreePort } from '../support/free-port.ts'
import { createLogin } from '../support/login-role.ts'
import { startTestPostgres } from '../support/postgres.ts'
import { runProgram } from '../support/program.ts'
import { CLI_PATH, isAnswering } from '../support/surroundings.ts'
import { buildMove, place, type Place } from './cores.ts'

type Environment = Readonly<Record<string, string>>

export interface Running {
  readonly port: number
  readonly pid: number
  /** What it has printed so far is thrown away: a gateway writes two lines for each request. */
  emptyLog(): void
  stop(): Promise<void>
}

export class GateStand {
  readonly directory: string
  readonly munged: Munged
  /** Of a user of the gateway's database role. */
  readonly databaseUrl: string
  /** Of nobody's cluster; for the fixed upstream. */
  readonly slurmKeyFile: string
  readonly tokenKeyFile: string
  readonly #issuerUrl: string
  readonly #endings: (() => Promise<void>)[] = []

  private constructor(parts: Pick<GateStand, 'directory' | 'munged' | 'databaseUrl'>, issuerUrl: string) {
    this.directory = parts.directory
    this.munged = parts.munged
    this.databaseUrl = parts.databaseUrl
    this.#issuerUrl = issuerUrl
    this.slurmKeyFile = this.#writeSecret('slurm.key', randomBytes(32))
    this.tokenKeyFile = this.#writeSecret('token.key', randomBytes(32).toString('base64'))
  }

  static async start(): Promise<GateStand> {
    const directory = mkdtempSync(join(tmpdir(), 'slurmgate-bench-'))
    chmodSync(directory, 0o755)
    const munged = await startMunged({
      socket: join(directory, 'munge/munge.socket.2'),
      keyFile: join(directory, 'keys/munge.key'),
      dir: join(directory, 'munge'),
      origin: '127.0.0.1',
    })
    const postgres = await startTestPostgres()
    await requireCommand('taskset', buildMove(postgres.pid))
    await requireCommand('taskset', buildMove(munged.pid))
    for (const command of [
      ['db', 'migrate'],
      ['db', 'grants', '--apply'],
    ])
      await runProgram(process.execPath, [CLI_PATH, ...command], {
        environment: { DATABASE_URL: postgres.url },
      })
    const gate = await createLogin(postgres.url, { memberOf: ['slurmgate_gateway'] })
    const staff = await createLogin(postgres.url, { memberOf: ['slurmgate_issuer'] })
    const stand = new GateStand({ directory, munged, databaseUrl: gate.url }, staff.url)
    stand.#endings.push(
      () => {
        rmSync(directory, { recursive: true, force: true })
        return Promise.resolve()
      },
      () => postgres.stop(),
      () => munged.stop(),
    )
    return stand
  }

  /** For what else has to end with the stand, before what stands already. */
  onStop(end: () => Promise<void>): void {
    this.#endings.push(end)
  }

  /** @returns a sealed API token that may read, for any account. */
  async issueToken(user: string): Promise<string> {
    const names = ['--name', 'bench', '--user', user, '--issued-by', 'bench', '--any-account']
    const scopes = ['--scope', 'slurm:read,slurmdb:read']
    const token = await this.runCli(['token', 'issue', ...names, ...scopes])
    return token.trimEnd()
  }

  runCli(parameters: readonly string[]): Promise<string> {
    const environment = { DATABASE_URL: this.#issuerUrl, TOKEN_KEY_FILE: this.tokenKeyFile }
    return runProgram(process.execPath, [CLI_PATH, ...parameters], { environment })
  }

  /** What every gateway is told, but for its port; versions are not asked for, so that only calls go upstream. */
  buildGatewayEnvironment(upstreamPort: number, settings: Environment = {}): Environment {
    const isSigned = settings['SLURM_TOKEN_SIGNER'] !== 'verifier'
    return {
      DATABASE_URL: this.databaseUrl,
      SLURMRESTD_URL: `http://127.0.0.1:${String(upstreamPort)}`,
      SLURM_API_VERSIONS: 'v0.0.42',
      ...(isSigned && { SLURM_JWT_HS256_KEY_FILE: this.slurmKeyFile, MUNGE_MODE: 'off' }),
      ...settings,
    }
  }

  async startGateway(environment: Environment, where: Place): Promise<Running> {
    const port = await findFreePort()
    const command = [process.execPath, ...readNodeOptions(), CLI_PATH, 'gateway']
    return this.startServer('gateway', command, port, {
      where,
      environment: { ...environment, PORT: String(port) },
    })
  }

  /** @returns once it answers HTTP requests on the port. */
  async startServer(
    name: string,
    command: readonly string[],
    port: number,
    { where, environment = {} }: { readonly where: Place; readonly environment?: Environment },
  ): Promise<Running> {
    const logFile = join(this.directory, `${name}-${String(port)}.log`)
    const env = { PATH: process.env['PATH'], ...environment }
    const daemon: Daemon = await startDaemon({
      name,
      command: place(command, where),
      logFile,
      env,
      graceSeconds: 15,
    })
    this.#endings.push(() => daemon.stop())
    await waitUntilReady(daemon, () => isAnswering(port), { timeoutSeconds: 30 })
    return { port, pid: daemon.pid, emptyLog: () => truncateSync(logFile), stop: () => daemon.stop() }
  }

  async stop(): Promise<void> {
    for (const end of this.#endings.splice(0).reverse()) await end()
  }

  #writeSecret(name: string, content: string | Buffer): string {
    const path = join(this.directory, name)
    writeFileSync(path, content, { mode: 0o600 })
    return path
  }
}

/** `BENCH_NODE_OPTIONS`: for the gateways alone, such as `--cpu-prof --cpu-prof-dir=/tmp/profile`. */
function readNodeOptions(): string[] {
  return (process.env['BENCH_NODE_OPTIONS'] ?? '').split(' ').filter((option) => option !== '')
}
