/**
 * Stands in for slurmrestd: records every request byte by byte and is as hard to please as the real daemon. What it
 * claims about the real one is listed in `test/slurmrestd-contract/` and checked against the real one too.
 */

import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { answerRequest, buildError, type FakeAnswer } from './fake-slurmrestd-answers.ts'
import { sleep } from './program.ts'

export interface RecordedRequest {
  readonly method: string
  /** As it stood in the request line. */
  readonly target: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer
  /** Numbered from 1 in the order they were opened. */
  readonly connection: number
  readonly receivedAt: number
}

/** What a case can ask of the fake beyond its usual answers. Reset between cases. */
export interface FakeBehaviour {
  /** Replaces the answer of everything but the OpenAPI document. */
  answer: ((request: RecordedRequest) => FakeAnswer | null) | null
  /** Before the answer's head. */
  delayMilliseconds: number
  /** 26.05: error answers are written twice on one connection. */
  doublesErrors: boolean
  /** The connection is closed after that many bytes of the answer. */
  cutsAnswerAfterBytes: number | null
}

const USUAL: FakeBehaviour = {
  answer: null,
  delayMilliseconds: 0,
  doublesErrors: false,
  cutsAnswerAfterBytes: null,
}

export class FakeSlurmrestd {
  readonly behaviour: FakeBehaviour = { ...USUAL }
  /** What a client did that the real daemon does not survive: a head in pieces, pipelining, reuse after an error. */
  readonly violations: string[] = []
  readonly #server: Server
  readonly #key: Uint8Array
  readonly #sockets = new Set<Socket>()
  #requests: RecordedRequest[] = []
  #connections = 0
  #inFlight = 0
  #peakInFlight = 0

  private constructor(key: Uint8Array) {
    this.#key = key
    this.#server = createServer({ noDelay: true }, (socket) => {
      this.#serve(socket)
    })
  }

  /** @param key the bytes of Slurm's `jwt_hs256.key`. */
  static async start(key: Uint8Array): Promise<FakeSlurmrestd> {
    const fake = new FakeSlurmrestd(key)
    await new Promise<void>((resolve) => fake.#server.listen(0, '127.0.0.1', resolve))
    return fake
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Everything received since the last reset, the gate's own look-ups of the OpenAPI document included. */
  get requests(): readonly RecordedRequest[] {
    return this.#requests
  }

  /** Requests for operations: what must be empty when nothing was forwarded. */
  get operations(): readonly RecordedRequest[] {
    return this.#requests.filter(({ target }) => !/^\/+(openapi|healthz|readyz|livez)/.test(target))
  }

  get peakInFlight(): number {
    return this.#peakInFlight
  }

  reset(): void {
    Object.assign(this.behaviour, USUAL)
    this.#requests = []
    this.#peakInFlight = this.#inFlight
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #serve(socket: Socket): void {
    const connection = ++this.#connections
    let received = Buffer.alloc(0)
    let isBusy = false
    let isFinished = false
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    socket.on('data', (bytes: Buffer) => {
      if (isFinished) this.violations.push('bytes after an answer that said Connection: Close')
      else if (isBusy) this.violations.push('bytes before the answer was sent: pipelining')
      received = Buffer.concat([received, bytes])
      if (isBusy || isFinished) return
      const parsed = parseRequest(received)
      if (parsed === 'body missing') return
      isBusy = true
      const request = typeof parsed === 'string' ? null : { ...parsed, connection, receivedAt: Date.now() }
      if (request === null) {
        this.violations.push('a request head in several pieces, or not HTTP')
      } else {
        this.#requests.push(request)
      }
      void this.#answer(socket, request).then((mayContinue) => {
        received = Buffer.alloc(0)
        isBusy = false
        isFinished = !mayContinue
      })
    })
  }

  /** @returns whether the connection may carry another request. */
  async #answer(socket: Socket, request: RecordedRequest | null): Promise<boolean> {
    const { delayMilliseconds, doublesErrors, cutsAnswerAfterBytes, answer: override } = this.behaviour
    this.#peakInFlight = Math.max(this.#peakInFlight, ++this.#inFlight)
    if (delayMilliseconds > 0) await sleep(delayMilliseconds)
    this.#inFlight--
    const isDocument = request?.target.startsWith('/openapi') ?? false
    const overridden = request === null || isDocument ? null : (override?.(request) ?? null)
    const answer =
      overridden ?? (request === null ? buildError(400, 'bad request') : answerRequest(request, this.#key))
    if (socket.destroyed) return false
    const isError = answer.status >= 400
    const bytes = writeAnswer(answer)
    if (cutsAnswerAfterBytes !== null && !isDocument) {
      socket.end(bytes.subarray(0, cutsAnswerAfterBytes))
      return false
    }
    socket.write(isError && doublesErrors ? Buffer.concat([bytes, bytes]) : bytes)
    if (isError) socket.end()
    return !isError
  }
}

function parseRequest(bytes: Buffer): Omit<RecordedRequest, 'connection' | 'receivedAt'> | string {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return 'head incomplete'
  const [requestLine = '', ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n')
  const [, method, target] = /^([A-Z]+) (\S+) HTTP\/1\.1$/.exec(requestLine) ?? []
  if (method === undefined || target === undefined) return 'not a request line'
  const headers = lines.map((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1).trim()] as const
  })
  const length = Number(headers.find(([name]) => name.toLowerCase() === 'content-length')?.[1] ?? 0)
  const body = bytes.subarray(end + 4)
  if (body.length < length) return 'body missing'
  return { method, target, headers, body: Buffer.from(body.subarray(0, length)) }
}

function writeAnswer({ status, contentType, body, headers = [] }: FakeAnswer): Buffer {
  const bytes = Buffer.from(body)
  const lines = [
    `HTTP/1.1 ${String(status)} ${status < 400 ? 'OK' : 'ERROR'}`,
    ...(status >= 400 ? ['Connection: Close'] : []),
    ...headers,
    `Content-Length: ${String(bytes.length)}`,
    ...(contentType === null ? [] : [`Content-Type: ${contentType}`]),
  ]
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), bytes])
}
