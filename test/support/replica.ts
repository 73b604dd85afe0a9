/** One replica of the gate's MUNGE half: a real munged, a verifier with its own server, and a gateway's authentication. */

import { randomBytes } from 'node:crypto'
import { createHttpServer, type HttpServer } from '../../functions/node/http-server.ts'
import { createMungedSocket } from '../../functions/node/munged-socket.ts'
import { nodeSha256 } from '../../functions/node/node-sha256.ts'
import { createShortPost } from '../../functions/node/short-post.ts'
import { createUndiciPost } from '../../functions/node/undici-post.ts'
import { createAuthenticator, type Authenticate } from '../../src/authenticate.ts'
import { createQuestionAnswerer, QUESTION_MAX_BYTES } from '../../src/munge/answer-question.ts'
import { createVerifierEnd } from '../../src/munge/exchange.ts'
import { createMungedClient } from '../../src/munge/munged-client.ts'
import { buildRemoteVerifier } from './remote-verifier.ts'
import { createVerifierService } from '../../src/munge/verifier-service.ts'
import { createMungeVerifier } from '../../src/munge/verify-credential.ts'
import type { ClientAddress } from '../../src/ports.ts'
import { openDatabase, type OpenDatabase } from '../../src/tokens/database.ts'
import { createPostgresReplayGuard } from '../../src/tokens/replay-guard.ts'
import { findFreePort } from './free-port.ts'
import { MungeDaemon } from './munge-daemon.ts'

export interface ReplicaOptions {
  readonly directory: string
  /** munged's. */
  readonly key: Uint8Array
  readonly databaseUrl: string
  readonly minUid: number
}

const ADDRESS = '127.0.0.1'
const CLIENT: ClientAddress = { address: ADDRESS, isDirectLoopback: true, hostAddresses: [] }
const log = { write: () => undefined }

export class Replica {
  readonly munged: MungeDaemon
  readonly #server: HttpServer
  readonly #database: OpenDatabase
  readonly #authenticate: Authenticate

  private constructor(
    munged: MungeDaemon,
    server: HttpServer,
    database: OpenDatabase,
    authenticate: Authenticate,
  ) {
    this.munged = munged
    this.#server = server
    this.#database = database
    this.#authenticate = authenticate
  }

  static async start({ directory, key, databaseUrl, minUid }: ReplicaOptions): Promise<Replica> {
    const munged = await MungeDaemon.start({ directory, originAddress: ADDRESS, key })
    const keys = [Uint8Array.from(randomBytes(32))]
    const port = await findFreePort()
    const server = buildVerifierServer(munged.socketPath, keys, port, minUid)
    await server.listen()
    const database = openDatabase(databaseUrl)
    const url = new URL(`http://${ADDRESS}:${String(port)}`)
    const authenticate = createAuthenticator({
      munge: buildRemoteVerifier({
        ...{ url, keys, fetch, randomBytes },
        post: createUndiciPost(url),
        sha256: nodeSha256,
        clock: Date.now,
      }),
      replays: createPostgresReplayGuard(database.db, { clock: Date.now, log, maySharePromises: true }),
      tokens: { find: () => null },
      sha256: nodeSha256,
      deniedUsers: new Set(),
      bearerUserNames: new Set(),
      areAdminScopesOn: false,
      confirm: null,
      now: Date.now,
    })
    return new Replica(munged, server, database, authenticate)
  }

  /** @returns `accepted`, or the rule it was refused by. @throws Outage */
  async use(credential: string): Promise<string> {
    const principal = await this.#authenticate({ kind: 'munge', credential, userName: null }, CLIENT)
    return 'kind' in principal ? principal.rule : 'accepted'
  }

  async stop(): Promise<void> {
    await this.#server.stop(1_000)
    await this.#database.close()
    await this.munged.stop()
  }
}

function buildVerifierServer(
  socketPath: string,
  keys: readonly Uint8Array<ArrayBuffer>[],
  port: number,
  minUid: number,
): HttpServer {
  const verifier = createMungeVerifier({
    munged: createMungedClient(createMungedSocket({ path: socketPath })),
    findUserName: (uid) => Promise.resolve(`user${String(uid)}`),
    policy: { maxTtlSeconds: 5, minUid, deniedUsers: new Set(), hostBinding: 'strict' },
    log,
    sha256: nodeSha256,
  })
  const end = createVerifierEnd({ keys, clock: Date.now, sha256: nodeSha256 })
  const parts = { end, verifier, signer: null, questionsPerSecond: 0, clock: Date.now, log }
  const answerer = createQuestionAnswerer(parts)
  const takeQuestions = createShortPost({
    path: '/verify',
    bodyMaxBytes: QUESTION_MAX_BYTES,
    answer: (body) => answerer.answer(body),
  })
  const listener = { host: ADDRESS, port, isLoopback: true, tls: null }
  return createHttpServer(createVerifierService(parts, answerer), listener, null, {
    takeFirst: takeQuestions,
  })
}
