/**
 * A signer and a gateway that asks it, or one that has Slurm's key itself: processes behind an address each, and each under the
 * database login that it is given. munged and slurmrestd are fakes.
 */

import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCli, type CliOutcome } from './cli.ts'
import { FakeMunged, writeDecodeResponse } from './fake-munged.ts'
import { ALICE_UID, writeGetent } from './fake-getent.ts'
import { FakeSlurmrestd } from './fake-slurmrestd.ts'
import { Place, type Placed } from './place.ts'
import { Program, waitUntil } from './program.ts'
import { requestRaw, type RawAnswer } from './raw-http.ts'
import { CLI_PATH, findFreePort, isAnswering, startVerifier, type Environment } from './surroundings.ts'

type Environments = Readonly<Record<'signer' | 'asking' | 'alone' | 'issuer', Environment>>

interface PlacedGateway extends Placed {
  readonly program: Program
}

export class LoginStand {
  readonly signer = new Place()
  readonly gateway = new Place()
  readonly upstream: FakeSlurmrestd
  readonly #directory: string
  readonly #munged: FakeMunged
  readonly #environments: Environments

  private constructor(parts: {
    readonly directory: string
    readonly upstream: FakeSlurmrestd
    readonly munged: FakeMunged
    readonly environments: Environments
  }) {
    this.#directory = parts.directory
    this.upstream = parts.upstream
    this.#munged = parts.munged
    this.#environments = parts.environments
  }

  /** Nobody holds a place yet. */
  static async start(): Promise<LoginStand> {
    const directory = mkdtempSync(join(tmpdir(), 'slurmgate-logins-'))
    const slurmKey = randomBytes(32)
    const munged = new FakeMunged()
    await munged.start()
    const upstream = await FakeSlurmrestd.start(slurmKey)
    const TOKEN_KEY_FILE = join(directory, 'token.key')
    writeFileSync(TOKEN_KEY_FILE, randomBytes(32).toString('base64'), { mode: 0o600 })
    const SIGNER_PRIVATE_KEY_FILE = join(directory, 'signer.jwk')
    const SIGNER_PUBLIC_KEY = (await runCli(['signer-key', 'new', SIGNER_PRIVATE_KEY_FILE])).stdout.trim()
    const SLURMRESTD_URL = `http://127.0.0.1:${String(upstream.port)}`
    const MUNGE_VERIFIER_KEY = randomBytes(32).toString('base64')
    const cluster = {
      MUNGE_SOCKET: munged.socketPath,
      SLURM_JWT_HS256_KEY: slurmKey.toString('base64'),
      PATH: writeGetent(join(directory, 'bin')),
    }
    const signing = { MUNGE_VERIFIER_KEY, TOKEN_KEY_FILE, SIGNER_PRIVATE_KEY_FILE, VERIFIER_SIGNS: 'yes' }
    const asking = { MUNGE_VERIFIER_KEY, SIGNER_PUBLIC_KEY, SLURM_TOKEN_SIGNER: 'verifier' }
    const environments = {
      signer: { ...cluster, ...signing },
      asking: { ...asking, SLURMRESTD_URL },
      alone: { ...cluster, SLURMRESTD_URL },
      issuer: { TOKEN_KEY_FILE },
    }
    return new LoginStand({ directory, upstream, munged, environments })
  }

  async stop(): Promise<void> {
    await this.gateway.stop()
    await this.signer.stop()
    await this.upstream.stop()
    await this.#munged.remove()
    rmSync(this.#directory, { recursive: true })
  }

  async startSigner(databaseUrl: string): Promise<Placed> {
    const environment = { ...this.#environments.signer, DATABASE_URL: databaseUrl }
    const { port, program } = await startVerifier(environment)
    return { port, stop: () => program.stop() }
  }

  /** @param signerPort null: it has Slurm's key itself, and asks munged. */
  async startGateway(databaseUrl: string, signerPort: number | null): Promise<PlacedGateway> {
    const port = await findFreePort()
    const environment = { ...this.#buildGatewayEnvironment(databaseUrl, signerPort), PORT: String(port) }
    const program = new Program(process.execPath, [CLI_PATH, 'gateway'], { environment })
    await waitUntil('the gateway listens', async () => {
      if (!program.isRunning) throw new Error(`the gateway ended: ${program.lines.join('\n')}`)
      return isAnswering(port)
    })
    return { port, program, stop: () => program.stop() }
  }

  /** What `doctor` says with a gateway's environment, by dependency. */
  async diagnose(databaseUrl: string): Promise<Readonly<Record<string, string>>> {
    const environment = this.#buildGatewayEnvironment(databaseUrl, null)
    const { stdout } = await runCli(['doctor', '--json'], { environment })
    const found = JSON.parse(stdout) as { dependency: string; state: string }[]
    return Object.fromEntries(found.map(({ dependency, state }) => [dependency, state]))
  }

  /** One that may read. */
  issue(databaseUrl: string): Promise<CliOutcome> {
    const whose = ['--name', 'nightly', '--user', 'alice', '--any-account', '--scope', 'slurm:read']
    const environment = { ...this.#environments.issuer, DATABASE_URL: databaseUrl }
    return runCli(['token', 'issue', ...whose], { environment })
  }

  readonly callByToken = (token: string, port = this.gateway.port): Promise<RawAnswer> =>
    call(`Bearer ${token}`, port)

  /** With a credential that nobody has seen. */
  readonly callByMunge = (port = this.gateway.port): Promise<RawAnswer> => {
    this.#munged.behaviour = { kind: 'raw', bytes: writeDecodeResponse({ uid: ALICE_UID, gid: ALICE_UID }) }
    return call(`MUNGE MUNGE:${randomBytes(96).toString('base64')}:`, port)
  }

  #buildGatewayEnvironment(DATABASE_URL: string, signerPort: number | null): Environment {
    const { alone, asking } = this.#environments
    if (signerPort === null) return { ...alone, DATABASE_URL }
    return { ...asking, DATABASE_URL, MUNGE_VERIFIER_URL: `http://127.0.0.1:${String(signerPort)}` }
  }
}

function call(authorization: string, port: number): Promise<RawAnswer> {
  const headers = [['Authorization', authorization]] as const
  const request = { method: 'GET', target: '/slurm/latest/diag', headers }
  return requestRaw({ host: '127.0.0.1', port }, request, { timeoutMilliseconds: 30_000 })
}

/** The status and, for an error, its name. */
export function describeAnswer({ status, body }: RawAnswer): string {
  const [, error = ''] = /"error":\s*"([^"]+)"/.exec(body.toString('utf8')) ?? []
  return `${String(status)} ${error}`.trimEnd()
}
