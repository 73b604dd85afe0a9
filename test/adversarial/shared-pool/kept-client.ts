/** A client that keeps its connection from question to question, or leaves before it has its answer. */

import { connect } from 'node:net'
import {
  buildHead,
  findHeader,
  RawConnection,
  type RawAnswer,
  type RawRequest,
} from '../../support/raw-http.ts'
import { sleep } from '../../support/program.ts'
import type { Target } from '../../support/gateway-target.ts'

const ANSWER_MILLISECONDS = 90_000
/** Long enough for slurmrestd to have begun, and for buffers to be full behind a client that takes nothing. */
const LINGER_MILLISECONDS = 30

export class KeptClient {
  readonly #target: Target
  #connection: RawConnection | null = null

  constructor(target: Target) {
    this.#target = target
  }

  async ask(request: RawRequest): Promise<RawAnswer> {
    if (this.#connection === null || this.#connection.isClosed) {
      this.#connection = await RawConnection.open(this.#target, { timeoutMilliseconds: ANSWER_MILLISECONDS })
    }
    const connection = this.#connection
    await connection.send(request)
    const answer = await connection.readAnswer(request.method)
    if (findHeader(answer, 'connection')?.toLowerCase() === 'close') this.close()
    return answer
  }

  /** What came beyond the answers that were read. */
  get surplus(): Buffer {
    return this.#connection?.surplus ?? Buffer.alloc(0)
  }

  /**
   * Asks on a connection of its own, takes the first piece of the answer and no other, and goes.
   * @returns that piece; empty: it went before one came.
   */
  async leave(request: RawRequest, when: 'before' | 'within'): Promise<string> {
    const { host, port } = this.#target
    const socket = connect({ host, port, noDelay: true })
    const first = new Promise<Buffer>((resolve, reject) => {
      socket.setTimeout(ANSWER_MILLISECONDS, () => socket.destroy(new Error('no answer to leave')))
      socket.once('error', reject)
      socket.once('close', () => resolve(Buffer.alloc(0)))
      socket.once('data', (piece: Buffer) => {
        socket.pause()
        resolve(piece)
      })
    })
    try {
      socket.write(buildHead(request))
      const silence = sleep(LINGER_MILLISECONDS).then(() => Buffer.alloc(0))
      const piece = await (when === 'before' ? Promise.race([first, silence]) : first)
      if (when === 'within') await sleep(LINGER_MILLISECONDS)
      return piece.toString('utf8')
    } finally {
      socket.destroy()
    }
  }

  close(): void {
    this.#connection?.close()
    this.#connection = null
  }
}
