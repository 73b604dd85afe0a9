/**
 * Between a gateway's pool and slurmrestd: bytes pass untouched, and it is counted what the pool does: how many calls are
 * under way at once, on how many connections, which of them were used again, which left, and what came twice.
 */

import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

export interface PoolFigures {
  requests: number
  connections: number
  /** Requests that were not the first on their connection. */
  onUsedConnections: number
  /** Requests on a connection whose answer before was an error, or had not ended. */
  onUnfitConnections: number
  /** Answers that slurmrestd sent more of than one: the second copy of an error. */
  sentTwice: number
  /** Connections that the gateway closed itself, in or after an answer without an error: its client had gone. */
  left: number
  /** Calls under way at once, at most. */
  peak: number
}

export class PoolRelay {
  #figures = buildFigures()
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #underWay = 0

  private constructor(toPort: number) {
    this.#server = createServer((downstream) => this.#accept(downstream, toPort))
  }

  static async start(toPort: number): Promise<PoolRelay> {
    const relay = new PoolRelay(toPort)
    await new Promise<void>((resolve, reject) => {
      relay.#server.once('error', reject).listen(0, '127.0.0.1', resolve)
    })
    return relay
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get figures(): Readonly<PoolFigures> {
    return this.#figures
  }

  /** What came before does not count. */
  reset(): void {
    this.#figures = buildFigures()
  }

  stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }

  #accept(downstream: Socket, toPort: number): void {
    const upstream = connect({ host: '127.0.0.1', port: toPort, noDelay: true })
    downstream.setNoDelay(true)
    const calls = this.#watchCalls()
    upstream.once('end', calls.onEnd)
    downstream.on('data', calls.onRequestBytes)
    upstream.on('data', calls.onAnswerBytes)
    downstream.pipe(upstream)
    upstream.pipe(downstream)
    downstream.once('close', calls.onClose)
    for (const socket of [downstream, upstream]) {
      this.#sockets.add(socket)
      socket.on('error', () => socket.destroy())
      socket.once('close', () => {
        this.#sockets.delete(socket)
        downstream.destroy()
        upstream.destroy()
      })
    }
  }

  /** One connection's calls, one after the other. */
  #watchCalls(): {
    readonly onRequestBytes: (bytes: Buffer) => void
    readonly onAnswerBytes: (bytes: Buffer) => void
    readonly onEnd: () => void
    readonly onClose: () => void
  } {
    let requests = 0
    let isSurplusCounted = false
    let answer: AnswerLength | null = null
    let isFit = true
    let isEndedByGateway = true
    this.#figures.connections += 1
    return {
      onRequestBytes: (bytes) => {
        if (!/^(GET|POST|DELETE) \//.test(bytes.toString('latin1', 0, 8))) return
        const figures = this.#figures
        figures.requests += 1
        if ((requests += 1) > 1) figures.onUsedConnections += 1
        if (answer !== null || !isFit) figures.onUnfitConnections += 1
        this.#underWay += answer === null ? 1 : 0
        figures.peak = Math.max(figures.peak, this.#underWay)
        answer = new AnswerLength()
        isSurplusCounted = false
      },
      onAnswerBytes: (bytes) => {
        const surplus = answer === null ? bytes.length : answer.read(bytes)
        if (surplus === null) return
        if (answer !== null) {
          this.#underWay -= 1
          isFit = !answer.isError
        }
        answer = null
        if (surplus > 0 && !isSurplusCounted) this.#figures.sentTwice += 1
        isSurplusCounted ||= surplus > 0
      },
      onEnd: () => {
        isEndedByGateway = false
      },
      onClose: () => {
        if (answer !== null) this.#underWay -= 1
        answer = null
        if (isFit && isEndedByGateway) this.#figures.left += 1
      },
    }
  }
}

function buildFigures(): PoolFigures {
  return {
    requests: 0,
    connections: 0,
    onUsedConnections: 0,
    onUnfitConnections: 0,
    sentTwice: 0,
    left: 0,
    peak: 0,
  }
}

/** Where one answer ends, by its Content-Length: slurmrestd sends no other. */
class AnswerLength {
  #head = Buffer.alloc(0)
  #bytesLeft: number | null = null
  isError = false

  /** @returns how many bytes are beyond the end; null: it has not come yet. */
  read(bytes: Buffer): number | null {
    if (this.#bytesLeft !== null) this.#bytesLeft -= bytes.length
    else {
      this.#head = Buffer.concat([this.#head, bytes])
      const end = this.#head.indexOf('\r\n\r\n')
      if (end < 0) return null
      this.isError = /^HTTP\/1\.[01] [45]/.test(this.#head.toString('latin1', 0, 12))
      const length = /^content-length: *(\d+)$/im.exec(this.#head.toString('latin1', 0, end))?.[1] ?? '0'
      this.#bytesLeft = Number(length) - (this.#head.length - end - 4)
    }
    return this.#bytesLeft > 0 ? null : -this.#bytesLeft
  }
}
