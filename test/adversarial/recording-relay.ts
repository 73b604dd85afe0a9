/**
 * A relay in front of slurmrestd that writes down every request that really went there, outside our code: bytes pass
 * untouched, requests are read as slurmrestd reads them (RFC 9112, Content-Length only).
 */

import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

export interface Forwarded {
  readonly method: string
  readonly target: string
  readonly headers: ReadonlyMap<string, readonly string[]>
  readonly body: Buffer
  /** null: slurmrestd has not answered, or ended without an answer. */
  status: number | null
  isLost: boolean
}

export class RecordingRelay {
  readonly #to: { readonly host: string; readonly port: number }
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #records: Forwarded[] = []
  /** Bytes that are no request at all: a finding by themselves. */
  readonly unreadable: string[] = []
  total = 0
  /** Connections that slurmrestd refused or dropped with a request unanswered since the last look. */
  losses = 0
  lossesTotal = 0

  private constructor(to: { host: string; port: number }) {
    this.#to = to
    this.#server = createServer((downstream) => this.#accept(downstream))
  }

  static async start(to: { host: string; port: number }): Promise<RecordingRelay> {
    const relay = new RecordingRelay(to)
    await new Promise<void>((resolve, reject) => {
      relay.#server.once('error', reject)
      relay.#server.listen(0, '127.0.0.1', resolve)
    })
    return relay
  }

  get url(): string {
    return `http://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`
  }

  /** What arrived since the last call. */
  take(): Forwarded[] {
    const records = this.#records
    this.#records = []
    return records
  }

  stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
    })
  }

  #accept(downstream: Socket): void {
    const upstream = connect(this.#to)
    const waiting: Forwarded[] = []
    const reader = new RequestReader((record) => {
      this.total += 1
      waiting.push(record)
      this.#records.push(record)
    })
    for (const socket of [downstream, upstream]) {
      this.#sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('close', () => this.#sockets.delete(socket))
    }
    downstream.on('data', (bytes: Buffer) => {
      const problem = reader.read(bytes)
      if (problem !== null) this.unreadable.push(problem)
      upstream.write(bytes)
    })
    upstream.on('data', (bytes: Buffer) => {
      const status = /^HTTP\/1\.[01] (\d{3})/.exec(bytes.subarray(0, 16).toString('latin1'))?.[1]
      const record = waiting[0]
      if (status !== undefined && record !== undefined && record.status === null) {
        record.status = Number(status)
        waiting.shift()
      }
      downstream.write(bytes)
    })
    downstream.on('end', () => upstream.end())
    downstream.on('error', () => upstream.destroy())
    downstream.on('close', () => upstream.destroy())
    upstream.on('end', () => downstream.end())
    upstream.on('error', () => downstream.destroy())
    upstream.on('close', () => {
      for (const record of waiting.splice(0)) {
        record.isLost = true
        this.losses += 1
        this.lossesTotal += 1
      }
      downstream.destroy()
    })
  }
}

/** Splits one connection's bytes into requests. */
class RequestReader {
  readonly #onRequest: (record: Forwarded) => void
  #bytes: Buffer = Buffer.alloc(0)

  constructor(onRequest: (record: Forwarded) => void) {
    this.#onRequest = onRequest
  }

  /** @returns what is wrong with the bytes, or null. */
  read(bytes: Buffer): string | null {
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes])
    for (;;) {
      const end = this.#bytes.indexOf('\r\n\r\n')
      if (end < 0) return null
      const text = this.#bytes.subarray(0, end).toString('latin1')
      const [line = '', ...fields] = text.split('\r\n')
      const [, method, target] = /^([A-Z]+) (\/[!-~]*) HTTP\/1\.1$/.exec(line) ?? []
      if (method === undefined || target === undefined) return `not a request line: ${line}`
      const headers = readFields(fields)
      const lengths = headers.get('content-length') ?? ['0']
      if (headers.has('transfer-encoding') || lengths.length !== 1 || !/^\d+$/.test(lengths[0] ?? '')) {
        return `framing slurmrestd does not know: ${line}`
      }
      const length = Number(lengths[0])
      if (this.#bytes.length < end + 4 + length) return null
      const body = Buffer.from(this.#bytes.subarray(end + 4, end + 4 + length))
      this.#bytes = this.#bytes.subarray(end + 4 + length)
      this.#onRequest({ method, target, headers, body, status: null, isLost: false })
    }
  }
}

function readFields(fields: readonly string[]): Map<string, string[]> {
  const headers = new Map<string, string[]>()
  for (const field of fields) {
    const colon = field.indexOf(':')
    const name = field.slice(0, colon).toLowerCase()
    headers.set(name, [...(headers.get(name) ?? []), field.slice(colon + 1).trim()])
  }
  return headers
}

/** Without its credential: fit for a log. */
export function describeForwarded({ method, target, body, status, isLost }: Forwarded): string {
  const end = isLost ? 'LOST' : String(status ?? 'unanswered')
  const text = body.toString('utf8')
  return `${method} ${target}${text === '' ? '' : ` ${text.length > 2000 ? `${text.slice(0, 2000)}…` : text}`} -> ${end}`
}
