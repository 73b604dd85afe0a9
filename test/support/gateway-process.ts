/** Gateways as they are run: the built program, in processes of their own, each under a database login of its own. */

import { randomBytes } from 'node:crypto'
import { createLogin } from './login-role.ts'
import { findFreePort } from './free-port.ts'
import { Program, runProgram, waitUntil } from './program.ts'
import { CLI_PATH, isAnswering, type Environment } from './surroundings.ts'

export interface GatewayProcess {
  readonly program: Program
  readonly host: string
  readonly port: number
  /** Of its connections in Postgres. */
  readonly databaseUser: string
}

/** A new database on that server, as operators set it up. */
export class GatewayDatabase {
  readonly #administratorUrl: string
  readonly #issuerUrl: string

  private constructor(administratorUrl: string, issuerUrl: string) {
    this.#administratorUrl = administratorUrl
    this.#issuerUrl = issuerUrl
  }

  /** @param administratorUrl of a superuser, in the database that gets the tables. */
  static async setUp(administratorUrl: string): Promise<GatewayDatabase> {
    const environment = { DATABASE_URL: administratorUrl }
    await runProgram(process.execPath, [CLI_PATH, 'db', 'migrate'], { environment })
    await runProgram(process.execPath, [CLI_PATH, 'db', 'grants', '--apply'], { environment })
    const { url } = await createLogin(administratorUrl, { memberOf: ['slurmgate_issuer'] })
    return new GatewayDatabase(administratorUrl, url)
  }

  /** The built command line, as staff run it. */
  runCli(parameters: readonly string[]): Promise<string> {
    return runProgram(process.execPath, [CLI_PATH, ...parameters], {
      environment: { DATABASE_URL: this.#issuerUrl },
    })
  }

  /** One that may read. */
  async issueToken(): Promise<{ readonly id: string; readonly token: string }> {
    const whose = ['--name', 'portal', '--user', 'alice', '--uid', '6001', '--any-account']
    const scope = ['--scope', 'slurm:read,slurmdb:read']
    const text = await this.runCli(['token', 'issue', ...whose, ...scope, '--json'])
    return JSON.parse(text) as { id: string; token: string }
  }

  /** One that answers. The caller stops its program. */
  async startGateway(upstreamPort: number, environment: Environment = {}): Promise<GatewayProcess> {
    const login = await createLogin(this.#administratorUrl, { memberOf: ['slurmgate_gateway'] })
    const port = await findFreePort()
    const program = new Program(process.execPath, [CLI_PATH, 'gateway'], {
      environment: {
        DATABASE_URL: login.url,
        SLURMRESTD_URL: `http://127.0.0.1:${String(upstreamPort)}`,
        SLURM_API_VERSIONS: 'v0.0.42',
        SLURM_JWT_HS256_KEY: randomBytes(32).toString('base64'),
        MUNGE_MODE: 'off',
        PORT: String(port),
        ...environment,
      },
    })
    await waitUntil('the gateway listens', async () => {
      if (!program.isRunning) throw new Error(`the gateway ended: ${program.lines.join('\n')}`)
      return isAnswering(port)
    })
    return { program, host: '127.0.0.1', port, databaseUser: login.name }
  }
}
