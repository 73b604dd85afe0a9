/** A slurmrestd of raw bytes: reads whole requests, answers whatever a test writes, and counts connections. */

import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { Body } from '../../src/byte-stream.ts'
import type { UpstreamRequest } from '../../src/ports.ts'
import type { SlurmrestdAddress } from '../../src/settings.ts'

export interface ReceivedRequest {
  /** 1 for the first connection. */
  readonly connection: number
  /** Request line and header lines, without the empty line. */
  readonly head: string
  readonly body: Buffer
}

export type WriteRawAnswer = (request: ReceivedRequest, socket: Socket) => void

export class RawUpstream {
  readonly requests: ReceivedRequest[] = []
  /** Those still open, by number. */
  readonly sockets = new Map<number, Socket>()
  connections = 0
  readonly #server: Server

  private constructor(writeAnswer: WriteRawAnswer) {
    this.#server = createServer({ noDelay: true }, (socket) => this.#serve(socket, writeAnswer))
  }

  static async start(writeAnswer: WriteRawAnswer, unixPath?: string): Promise<RawUpstream> {
    const upstream = new RawUpstream(writeAnswer)
    if (unixPath === undefined) upstream.#server.listen(0, '127.0.0.1')
    else upstream.#server.listen(unixPath)
    await once(upstream.#server, 'listening')
    return upstream
  }

  get address(): SlurmrestdAddress {
    const bound = this.#server.address() as AddressInfo | string
    if (typeof bound === 'string') return { kind: 'unix', path: bound }
    return { kind: 'url', url: new URL(`http://127.0.0.1:${bound.port}`), serviceHeaders: {} }
  }

  async close(): Promise<void> {
    for (const socket of this.sockets.values()) socket.destroy()
    if (!this.#server.listening) return
    this.#server.close()
    await once(this.#server, 'close')
  }

  #serve(socket: Socket, writeAnswer: WriteRawAnswer): void {
    const connection = ++this.connections
    this.sockets.set(connection, socket)
    socket.on('close', () => this.sockets.delete(connection))
    socket.on('error', () => undefined)
    let received = Buffer.alloc(0)
    socket.on('data', (piece: Buffer) => {
      received = Buffer.concat([received, piece])
      for (let end = received.indexOf('\r\n\r\n'); end >= 0; end = received.indexOf('\r\n\r\n')) {
        const head = received.subarray(0, end).toString('latin1')
        const bodyEnd = end + 4 + Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0)
        if (received.length < bodyEnd) return
        const request = { connection, head, body: received.subarray(end + 4, bodyEnd) }
        received = received.subarray(bodyEnd)
        this.requests.push(request)
        writeAnswer(request, socket)
      }
    })
  }
}

/** An answer with exactly these header lines; nothing is added. */
export function buildAnswer(status: string, headers: readonly string[], body = ''): string {
  return [`HTTP/1.1 ${status}`, ...headers, '', body].join('\r\n')
}

/** An answer framed by its length, as slurmrestd sends them. */
export function buildSized(status: string, body: string): string {
  const length = `Content-Length: ${Buffer.byteLength(body)}`
  return buildAnswer(status, ['Content-Type: text/plain', length], body)
}

export function buildRequest(change: Partial<UpstreamRequest> = {}): UpstreamRequest {
  return { method: 'GET', target: '/jobs', headers: {}, body: null, timeoutMilliseconds: 10_000, ...change }
}

/** The body's text. @throws what the body fails with. */
export async function readText(body: Body): Promise<string> {
  return body === null ? '' : new Response(body as Uint8Array<ArrayBuffer>).text()
}

/** @throws where the answer came whole. */
export function requireStream(body: Body): ReadableStream<Uint8Array> {
  if (body instanceof ReadableStream) return body
  throw new TypeError('the answer is no stream')
}

/** What a promise fails with; an error where it does not. */
export async function findFailure(promise: Promise<unknown>): Promise<unknown> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (cause: unknown) => ({ cause }),
  )
  if ('cause' in outcome) return outcome.cause
  throw new Error('did not fail')
}
