/**
 * One connection that asks again and again and drains each answer without keeping it: cheap enough not to be what is
 * measured. Understands only what the sides here send, answers with a Content-Length.
 */

import { connect, type Socket } from 'node:net'

export interface DrainedAnswer {
  readonly status: number
  /** Status line and fields as they came. */
  readonly head: string
  readonly bodyBytes: number
}

const BUFFER_BYTES = 1024 * 1024
const HEAD_MAX_BYTES = 16 * 1024
const EMPTY = Buffer.alloc(0)

export class KeepAliveClient {
  readonly #socket: Socket
  #pending: { resolve: (answer: DrainedAnswer) => void; reject: (cause: Error) => void } | null = null
  #received = EMPTY
  #head: { readonly text: string; readonly status: number; readonly length: number } | null = null
  #bodyBytes = 0
  #onBody: ((piece: Buffer) => void) | null = null

  private constructor(port: number, onConnect: () => void) {
    this.#socket = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      onread: {
        buffer: Buffer.allocUnsafe(BUFFER_BYTES),
        callback: (count, buffer) => {
          this.#read(Buffer.from(buffer.buffer, buffer.byteOffset, count))
          return true
        },
      },
    })
    this.#socket.once('connect', onConnect)
    this.#socket.on('error', (cause) => this.#fail(cause))
    this.#socket.on('close', () => this.#fail(new Error('the connection ended within an answer')))
  }

  static open(port: number): Promise<KeepAliveClient> {
    return new Promise((resolve, reject) => {
      const client: KeepAliveClient = new KeepAliveClient(port, () => {
        client.#pending = null
        resolve(client)
      })
      client.#pending = { resolve: () => undefined, reject }
    })
  }

  /** @param onBody is shown the body's pieces, which change as soon as it returns. */
  ask(request: string, onBody: ((piece: Buffer) => void) | null = null): Promise<DrainedAnswer> {
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject }
      this.#onBody = onBody
      this.#socket.write(request, 'latin1')
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #read(piece: Buffer): void {
    const body = this.#head === null ? this.#readHead(piece) : piece
    if (this.#head === null || body === null) return
    this.#bodyBytes += body.length
    if (body.length > 0) this.#onBody?.(body)
    if (this.#bodyBytes < this.#head.length) return
    const { text, status, length } = this.#head
    if (this.#bodyBytes > length) this.#fail(new Error('more than one answer to a request'))
    this.#pending?.resolve({ status, head: text, bodyBytes: length })
    this.#pending = this.#head = null
    this.#bodyBytes = 0
  }

  /** @returns the beginning of the body; null: the head has not ended yet. */
  #readHead(piece: Buffer): Buffer | null {
    const all = this.#received.length === 0 ? piece : Buffer.concat([this.#received, piece])
    const end = all.indexOf('\r\n\r\n')
    if (end < 0) {
      this.#received = Buffer.from(all)
      if (all.length > HEAD_MAX_BYTES) this.#fail(new Error('a head without an end'))
      return null
    }
    this.#received = EMPTY
    const text = all.toString('latin1', 0, end)
    const length = Number(/^content-length: *(\d+)$/im.exec(text)?.[1] ?? Number.NaN)
    if (Number.isNaN(length)) this.#fail(new Error(`an answer without a length: ${text.slice(0, 200)}`))
    this.#head = { text, status: Number(text.slice(9, 12)), length }
    return all.subarray(end + 4)
  }

  #fail(cause: Error): void {
    this.#pending?.reject(cause)
    this.#pending = null
    this.#socket.destroy()
  }
}

export function buildGet(target: string, headers: Readonly<Record<string, string>>): string {
  const fields = Object.entries({ Host: '127.0.0.1', Accept: 'application/json', ...headers })
  return `GET ${target} HTTP/1.1\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
}

/** @returns what `X-Cache` says; null: the answer has none. */
export function readCacheMark({ head }: Pick<DrainedAnswer, 'head'>): string | null {
  return /^x-cache: *(\S+)/im.exec(head)?.[1] ?? null
}
