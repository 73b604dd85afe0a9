/**
 * A raw HTTP/1.1 client for tests: sends exactly the bytes a case asks for, reads exactly what comes back. It repairs
 * nothing and follows nothing.
 */

import { connect, type Socket } from 'node:net'

/** A pair is written as `name: value`; a string is written as it stands, without anything added but the line end. */
export type RawHeader = readonly [name: string, value: string] | string

export type RawAddress = { readonly host: string; readonly port: number } | { readonly path: string }

export interface RawRequest {
  readonly method: string
  /** Written verbatim into the request line. */
  readonly target: string
  readonly headers?: readonly RawHeader[]
  readonly body?: string | Uint8Array
  /** `length` (default) adds Content-Length where there is a body; `chunked` sends the body in chunks; `bare` adds nothing. */
  readonly framing?: 'length' | 'chunked' | 'bare'
  /** Bytes per write of the body, or of the whole request with `splitHead`. */
  readonly pieceBytes?: number
  readonly splitHead?: boolean
}

export interface RawAnswer {
  readonly status: number
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer
  /** An interim `100 Continue` came before this answer. */
  readonly wasContinued: boolean
}

const CONNECT_OPTIONS = { noDelay: true } as const

/** One connection. Every read has a time limit, so that a silent server fails the case instead of hanging it. */
export class RawConnection {
  readonly #socket: Socket
  readonly #timeoutMilliseconds: number
  #received = Buffer.alloc(0)
  #isEnded = false
  #failure: Error | null = null
  #wake: () => void = () => undefined

  private constructor(socket: Socket, timeoutMilliseconds: number) {
    this.#socket = socket
    this.#timeoutMilliseconds = timeoutMilliseconds
    socket.on('data', (piece: Buffer) => {
      this.#received = Buffer.concat([this.#received, piece])
      this.#wake()
    })
    socket.on('close', () => {
      this.#isEnded = true
      this.#wake()
    })
    socket.on('end', () => {
      this.#isEnded = true
      this.#wake()
    })
    // A server may answer and close before the whole body is written: the answer counts, not the failed write.
    socket.on('error', (error: Error) => {
      this.#failure = error
    })
  }

  static open(
    address: RawAddress,
    {
      localAddress,
      timeoutMilliseconds = 60_000,
    }: { localAddress?: string; timeoutMilliseconds?: number } = {},
  ): Promise<RawConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ ...address, ...CONNECT_OPTIONS, ...(localAddress ? { localAddress } : {}) })
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new RawConnection(socket, timeoutMilliseconds))
      })
    })
  }

  get isClosed(): boolean {
    return this.#isEnded || this.#socket.destroyed
  }

  /** What arrived beyond the answers read so far. */
  get surplus(): Buffer {
    return this.#received
  }

  write(bytes: string | Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      if (this.#socket.destroyed || !this.#socket.writable) resolve()
      else {
        this.#socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, () => {
          resolve()
        })
      }
    })
  }

  async send(request: RawRequest): Promise<void> {
    const body = toBytes(request.body)
    const framed = request.framing === 'chunked' ? frameChunks(body, request.pieceBytes ?? 1024) : body
    const head = buildHead(request)
    if (request.splitHead === true) {
      await this.#writeInPieces(Buffer.concat([head, framed]), request.pieceBytes ?? 7)
    } else {
      await this.write(head)
      if (framed.length > 0) await this.#writeInPieces(framed, request.pieceBytes ?? framed.length)
    }
  }

  /** @throws when the connection ends or stays silent before one whole answer has arrived. */
  async readAnswer(toMethod = 'GET'): Promise<RawAnswer> {
    let wasContinued = false
    for (;;) {
      const head = await this.#readHead()
      if (head.status === 100) {
        wasContinued = true
        continue
      }
      return { ...head, body: await this.#readBody(head, toMethod), wasContinued }
    }
  }

  /** Waits for an interim `100 Continue`; false when none came within the time. Leaves a final answer unread. */
  async waitForContinue(milliseconds: number): Promise<boolean> {
    const until = Date.now() + milliseconds
    while (Date.now() < until && this.#received.indexOf('\r\n\r\n') < 0 && !this.isClosed) {
      await this.#waitForMore(Math.max(1, until - Date.now()))
    }
    return this.#received.subarray(0, 12).toString('latin1') === 'HTTP/1.1 100'
  }

  close(): void {
    this.#socket.destroy()
  }

  async #writeInPieces(bytes: Buffer, pieceBytes: number): Promise<void> {
    for (let at = 0; at < bytes.length && !this.#socket.destroyed; at += pieceBytes) {
      await this.write(bytes.subarray(at, at + pieceBytes))
      if (pieceBytes < bytes.length) await new Promise((resolve) => setImmediate(resolve))
    }
  }

  async #readHead(): Promise<Omit<RawAnswer, 'body' | 'wasContinued'>> {
    const end = await this.#require(() => this.#findHeadEnd())
    const [statusLine = '', ...lines] = this.#received.subarray(0, end).toString('latin1').split('\r\n')
    this.#received = this.#received.subarray(end + 4)
    const status = Number(/^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(statusLine)?.[1] ?? Number.NaN)
    if (Number.isNaN(status)) throw new Error(`not a status line: ${statusLine}`)
    const headers = lines.map((line) => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon), line.slice(colon + 1).trim()] as const
    })
    return { status, headers }
  }

  /** slurmrestd 24.11 closes after some error heads without the empty line that ends one (measured). */
  #findHeadEnd(): number {
    const end = this.#received.indexOf('\r\n\r\n')
    if (end >= 0 || !this.isClosed || !this.#received.subarray(0, 5).equals(Buffer.from('HTTP/'))) return end
    return this.#received.subarray(-2).equals(Buffer.from('\r\n')) ? this.#received.length - 2 : end
  }

  async #readBody(head: Omit<RawAnswer, 'body' | 'wasContinued'>, toMethod: string): Promise<Buffer> {
    if (toMethod === 'HEAD' || head.status === 204 || head.status === 304) return Buffer.alloc(0)
    if (findHeader(head, 'transfer-encoding')?.toLowerCase() === 'chunked') return this.#readChunks()
    const length = findHeader(head, 'content-length')
    if (length !== null) return this.#take(Number(length))
    while (!this.isClosed) await this.#waitForMore(this.#timeoutMilliseconds)
    return this.#take(this.#received.length)
  }

  async #readChunks(): Promise<Buffer> {
    const pieces: Buffer[] = []
    for (;;) {
      const end = await this.#require(() => this.#received.indexOf('\r\n'))
      const size = Number.parseInt(this.#received.subarray(0, end).toString('latin1'), 16)
      if (Number.isNaN(size)) throw new Error('not a chunk size')
      await this.#take(end + 2)
      pieces.push(await this.#take(size))
      await this.#take(2)
      if (size === 0) return Buffer.concat(pieces)
    }
  }

  async #take(length: number): Promise<Buffer> {
    await this.#require(() => (this.#received.length >= length ? 0 : -1))
    const taken = this.#received.subarray(0, length)
    this.#received = this.#received.subarray(length)
    return taken
  }

  async #require(find: () => number): Promise<number> {
    const until = Date.now() + this.#timeoutMilliseconds
    for (let at = find(); ; at = find()) {
      if (at >= 0) return at
      if (this.isClosed) {
        throw new Error(`connection ended before a whole answer (${this.#failure?.message ?? 'closed'})`)
      }
      if (Date.now() >= until) throw new Error('no whole answer within the time limit')
      await this.#waitForMore(until - Date.now())
    }
  }

  #waitForMore(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(done, milliseconds)
      function done(): void {
        clearTimeout(timer)
        resolve()
      }
      this.#wake = done
    })
  }
}

/** One request on a connection of its own. */
export async function requestRaw(
  address: RawAddress,
  request: RawRequest,
  options: { localAddress?: string; timeoutMilliseconds?: number } = {},
): Promise<RawAnswer> {
  const connection = await RawConnection.open(address, options)
  try {
    const sending = connection.send(request)
    const answer = await connection.readAnswer(request.method)
    void sending
    return answer
  } finally {
    connection.close()
  }
}

/** The request head with its final empty line; `Host` and the framing header are added unless the case names them. */
export function buildHead(request: RawRequest): Buffer {
  const given = request.headers ?? []
  const lines = given.map((header) => (typeof header === 'string' ? header : `${header[0]}: ${header[1]}`))
  const names = lines.map((line) => line.slice(0, Math.max(0, line.indexOf(':'))).toLowerCase())
  if (!names.includes('host')) lines.unshift('Host: gate.example')
  const framing = request.framing ?? 'length'
  if (framing === 'chunked') lines.push('Transfer-Encoding: chunked')
  if (framing === 'length' && request.body !== undefined && !names.includes('content-length')) {
    lines.push(`Content-Length: ${String(toBytes(request.body).length)}`)
  }
  return Buffer.from(
    `${request.method} ${request.target} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`,
    'latin1',
  )
}

/** The first header of that name, in any case. */
export function findHeader(answer: Pick<RawAnswer, 'headers'>, name: string): string | null {
  return findHeaders(answer, name)[0] ?? null
}

export function findHeaders(answer: Pick<RawAnswer, 'headers'>, name: string): string[] {
  return answer.headers.filter(([key]) => key.toLowerCase() === name.toLowerCase()).map(([, value]) => value)
}

function frameChunks(body: Buffer, chunkBytes: number): Buffer {
  const pieces: Buffer[] = []
  for (let at = 0; at < body.length; at += chunkBytes) {
    const piece = body.subarray(at, at + chunkBytes)
    pieces.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'))
  }
  return Buffer.concat([...pieces, Buffer.from('0\r\n\r\n')])
}

function toBytes(body: string | Uint8Array | undefined): Buffer {
  if (body === undefined) return Buffer.alloc(0)
  return typeof body === 'string' ? Buffer.from(body, 'utf8') : Buffer.from(body)
}
