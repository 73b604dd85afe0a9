/** An HTTP server for a Hono app: where and how it listens, its limits, and its end. */

import { chmodSync, existsSync, readFileSync, statSync, unlinkSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import { connect } from 'node:net'
import { getRequestListener, type HttpBindings } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import type { Hono } from 'hono'
import type { Listener, TlsFiles } from '../../src/listener-settings.ts'
import { readKeyFile } from './key-file.ts'
import { rewriteTarget } from './sent-target.ts'
import { createServerEnd } from './server-end.ts'
import { GATEWAY_SERVER_LIMITS, type ServerLimits } from './server-limits.ts'
import type { TakeRequest } from './short-post.ts'
import { createUnreadAnswers } from './unread-answers.ts'
import { readResponse, writeAnswer } from './write-answer.ts'

export interface Tls {
  readonly cert: Buffer
  readonly key: Buffer
}

export interface HttpServer {
  listen(): Promise<void>
  /** Goes on to serve for a moment; lets running requests finish for this long, then cuts them. */
  stop(graceMilliseconds: number): Promise<void>
}

export interface HttpServerOptions {
  /** Is shown each request before the app. */
  readonly takeFirst?: TakeRequest
  /** Default: a gateway's. */
  readonly limits?: ServerLimits
  /** Told of every connection that was one too many. */
  readonly onDrop?: () => void
}

/** CONTRACT "HTTP": 431 over this, by the runtime itself. */
const HEAD_MAX_BYTES = 16 * 1024
/** How often Node looks for clients that are too slow; by default every 30 s. */
const LOOK_MILLISECONDS = 1_000

/** @returns null with problems where a file cannot be used. */
export function readTls(files: TlsFiles | null, problems: string[]): Tls | null {
  if (files === null) return null
  const cert = readCertificate(files.certFile)
  if (cert === null) problems.push('TLS_CERT_FILE cannot be read')
  const key = readKeyFile(files.keyFile)
  if (typeof key === 'string') problems.push(`TLS_KEY_FILE ${key}`)
  return cert === null || typeof key === 'string' ? null : { cert, key: Buffer.from(key) }
}

function readCertificate(path: string): Buffer | null {
  try {
    return readFileSync(path)
  } catch {
    return null
  }
}

export function createHttpServer(
  app: Hono,
  address: Listener | { readonly unixPath: string },
  tls: Tls | null,
  {
    takeFirst = () => false,
    limits = GATEWAY_SERVER_LIMITS,
    onDrop = () => undefined,
  }: HttpServerOptions = {},
): HttpServer {
  const bounds = {
    maxHeaderSize: HEAD_MAX_BYTES,
    headersTimeout: limits.headTimeoutMilliseconds,
    requestTimeout: limits.requestTimeoutMilliseconds,
    connectionsCheckingInterval: LOOK_MILLISECONDS,
  }
  const answer = getRequestListener(
    async (request, bindings) => {
      const response = await app.fetch(request, bindings)
      if (response !== RESPONSE_ALREADY_SENT)
        await writeAnswer(readResponse(response), (bindings as HttpBindings).outgoing)
      return RESPONSE_ALREADY_SENT
    },
    { overrideGlobalObjects: false, errorHandler: answerFailure },
  )
  const onRequest = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    if (!unread.onRequest(incoming, outgoing)) return
    end.onRequest(outgoing)
    if (takeFirst(incoming, outgoing)) return
    rewriteTarget(incoming)
    void answer(incoming, outgoing)
  }
  const server =
    tls === null
      ? createServer(bounds, onRequest)
      : createTlsServer(
          { ...bounds, ...tls, minVersion: 'TLSv1.2', handshakeTimeout: limits.headTimeoutMilliseconds },
          onRequest,
        )
  const end = createServerEnd(server)
  const unread = createUnreadAnswers(server, limits)
  server.maxConnections = limits.connectionsMax
  server.on('drop', onDrop)
  // By default Node drops the fields after the 1000th without a word, credentials among them; the size is bounded.
  server.maxHeadersCount = 0
  return {
    listen: () => listen(server, address),
    stop: (graceMilliseconds) => end.stop(graceMilliseconds),
  }
}

/** What never reached the app (a bad Host): no words of the failure, which may hold what the client sent. */
function answerFailure(cause: unknown): Response {
  const isBadRequest = cause instanceof Error && cause.name === 'RequestError'
  return new Response(null, { status: isBadRequest ? 400 : 500 })
}

async function listen(
  server: Server | TlsServer,
  address: Listener | { readonly unixPath: string },
): Promise<void> {
  const isUnix = 'unixPath' in address
  if (isUnix) await removeStaleSocket(address.unixPath)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    const onListening = (): void => {
      server.off('error', reject)
      resolve()
    }
    if (isUnix) server.listen(address.unixPath, onListening)
    else server.listen(address.port, address.host, onListening)
  })
  // The proxy in front runs as another user; who may reach the folder decides.
  if (isUnix) chmodSync(address.unixPath, 0o666)
}

/** A socket that an earlier process left behind; one that somebody still listens on is not ours to take. */
async function removeStaleSocket(path: string): Promise<void> {
  if (!existsSync(path) || !statSync(path).isSocket()) return
  const isAnswering = await new Promise<boolean>((resolve) => {
    const socket = connect(path, () => {
      socket.destroy()
      resolve(true)
    })
    // A backlog that is full (EAGAIN) belongs to somebody who listens.
    socket.on('error', (cause: NodeJS.ErrnoException) => resolve(cause.code !== 'ECONNREFUSED'))
  })
  if (!isAnswering) unlinkSync(path)
}
