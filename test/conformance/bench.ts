/** What a conformance case works with: one gateway, its surroundings, issued tokens, and verbs to send and look. */

import { randomUUID } from 'node:crypto'
import {
  requestRaw,
  RawConnection,
  type RawAnswer,
  type RawHeader,
  type RawRequest,
} from '../support/raw-http.ts'
import { signSlurmJwt } from '../support/slurm-jwt.ts'
import {
  HOME_ADDRESS,
  startSurroundings,
  type Environment,
  type Surroundings,
} from '../support/surroundings.ts'
import type { MungeDaemon } from '../support/munge-daemon.ts'
import type { StartTarget, Target } from '../support/gateway-target.ts'
import { waitUntil } from '../support/program.ts'
import { issueTokens, type IssuedToken, type TokenName } from './issued-tokens.ts'

export interface SendOptions extends Partial<RawRequest> {
  /** Null: the client names no address. Default: the host MUNGE credentials are made on. */
  readonly clientAddress?: string | null
  readonly timeoutMilliseconds?: number
}

export class Bench {
  readonly target: Target
  readonly world: Surroundings
  readonly tokens: Readonly<Record<TokenName, IssuedToken>>
  readonly #start: StartTarget
  readonly #retiredLines: string[]

  constructor(
    start: StartTarget,
    target: Target,
    world: Surroundings,
    tokens: Readonly<Record<TokenName, IssuedToken>>,
    retiredLines: string[] = [],
  ) {
    this.#start = start
    this.target = target
    this.world = world
    this.tokens = tokens
    this.#retiredLines = retiredLines
  }

  /** A Worker's verifier has a host map: from behind Cloudflare no other one takes a credential. */
  static async start(
    name: Target['name'],
    start: StartTarget,
    signer: 'gateway' | 'verifier',
  ): Promise<Bench> {
    const world = await startSurroundings(signer, name === 'workerd' ? 'map' : 'strict')
    try {
      const [target, tokens] = await Promise.all([start(world.gatewayEnvironment), issueTokens(world)])
      const bench = new Bench(start, target, world, tokens)
      await bench.waitUntilReady()
      return bench
    } catch (error) {
      await world.stop()
      throw error
    }
  }

  async stop(): Promise<void> {
    await this.target.stop()
    await this.world.stop()
  }

  /** Before each case: the usual surroundings and an empty record. */
  reset(): void {
    this.world.upstream.reset()
  }

  async waitUntilReady(): Promise<void> {
    await waitUntil(
      'the gateway is ready',
      async () => (await this.send({ target: '/readyz' })).status === 200,
    )
  }

  /** One request on a connection of its own; GET unless said otherwise. */
  async send({ clientAddress, timeoutMilliseconds, ...request }: SendOptions): Promise<RawAnswer> {
    const headers = [...this.nameClient(clientAddress), ...(request.headers ?? [])]
    const answer = await requestRaw(
      this.target,
      { method: 'GET', target: '/slurm/v0.0.42/jobs', ...request, headers },
      timeoutMilliseconds === undefined ? {} : { timeoutMilliseconds },
    )
    const body = answer.body.toString('utf8')
    if (answer.status >= 400 && body.includes('"source":"slurmgate"')) {
      this.world.errorAnswers.push(`${JSON.stringify(answer.headers)} ${body}`)
    }
    return answer
  }

  /** As the holder of a token, by `Authorization: Bearer`. */
  sendAs(token: TokenName, options: SendOptions = {}): Promise<RawAnswer> {
    return this.send({ ...options, headers: [this.bearer(token), ...(options.headers ?? [])] })
  }

  /** With a fresh MUNGE credential of the ordinary user. */
  async sendAsMunge(options: SendOptions = {}): Promise<RawAnswer> {
    const credential = await this.makeCredential()
    const headers = [['Authorization', `MUNGE ${credential}`] as const, ...(options.headers ?? [])]
    return this.send({ ...options, headers })
  }

  openConnection(): Promise<RawConnection> {
    return RawConnection.open(this.target)
  }

  nameClient(address: string | null = HOME_ADDRESS): RawHeader[] {
    return address === null ? [] : [this.target.clientHeader(address)]
  }

  bearer(token: TokenName): readonly [string, string] {
    return ['Authorization', `Bearer ${this.tokens[token].text}`]
  }

  async makeCredential(
    parameters: readonly string[] = ['-n', '-t', '5'],
    {
      uid = this.world.users.ordinary.uid,
      from = this.world.munge,
      payload,
    }: { uid?: number; from?: MungeDaemon; payload?: Uint8Array } = {},
  ): Promise<string> {
    const credential = await from.makeCredential(parameters, uid, payload)
    this.world.secrets.add(credential.slice('MUNGE:'.length, -1))
    return credential
  }

  get userName(): string {
    return this.world.users.ordinary.name
  }

  /** A Slurm JWT of the real key, as `scontrol token` makes one. */
  makeSlurmToken(): string {
    const now = Math.floor(Date.now() / 1000)
    const token = signSlurmJwt(this.world.slurmKey, { sun: this.userName, iat: now, exp: now + 600 })
    this.world.secrets.add(token)
    return token
  }

  /** A second gateway with other settings beside the same surroundings, for one case. */
  async withSettings<Result>(
    environment: Environment,
    use: (bench: Bench) => Promise<Result>,
  ): Promise<Result> {
    const target = await this.#start({ ...this.world.gatewayEnvironment, ...environment })
    try {
      return await use(new Bench(this.#start, target, this.world, this.tokens, this.#retiredLines))
    } finally {
      this.#retiredLines.push(...target.logs())
      await target.stop()
    }
  }

  /** All that any process printed, those of `withSettings` included. */
  get allLines(): readonly string[] {
    return [...this.target.logs(), ...this.#retiredLines, ...this.world.lines]
  }

  /** A value to recognise in what is forwarded, answered or printed. */
  makeCanary(): string {
    return `canary-${randomUUID()}`
  }
}
