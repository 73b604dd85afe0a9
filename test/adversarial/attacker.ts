/** Sends requests to a gateway over raw sockets that are kept alive, exactly as they are written. */

import { findHeader, RawConnection, type RawAnswer } from '../support/raw-http.ts'
import { fillRequest, type HostileRequest, type JobIds } from './hostile-request.ts'

const TIMEOUT_MILLISECONDS = 60_000

export interface Answer {
  readonly status: number
  readonly text: string
  /** The error rule, where the gate itself answered. */
  readonly rule: string | null
}

/** One connection at a time; a new one after whatever was odd about the last. */
export class Attacker {
  readonly #port: number
  #connection: RawConnection | null = null
  /** Why the last request got no answer. */
  fault: string | null = null

  constructor(port: number) {
    this.#port = port
  }

  /** @returns null: the connection ended without an answer; why is in `fault`. */
  async send(
    request: HostileRequest,
    ids: JobIds,
    credential: readonly [string, string],
  ): Promise<Answer | null> {
    const filled = fillRequest(request, ids, credential[1].replace(/^Bearer /, ''))
    const headers = [credential, ...filled.headers]
    this.fault = null
    const hasOwnLength = headers.some(([name]) => name.toLowerCase() === 'content-length')
    try {
      const isReused = this.#connection !== null && !this.#connection.isClosed
      const connection = isReused ? this.#connection : await this.#open()
      if (connection === null) return null
      await connection.send({
        method: filled.method,
        target: filled.target,
        headers,
        ...(filled.body === null ? {} : { body: new Uint8Array(filled.body) }),
        framing: filled.isChunked ? 'chunked' : 'length',
      })
      const answer = await connection.readAnswer(filled.method)
      const isLast = /close/i.test(findHeader(answer, 'connection') ?? '')
      if (answer.status >= 400 || isLast || hasOwnLength || connection.surplus.length > 0) this.close()
      return readAnswer(answer)
    } catch (cause) {
      this.close()
      this.fault = String(cause)
      return null
    }
  }

  close(): void {
    this.#connection?.close()
    this.#connection = null
  }

  async #open(): Promise<RawConnection> {
    this.close()
    const options = { timeoutMilliseconds: TIMEOUT_MILLISECONDS }
    this.#connection = await RawConnection.open({ host: '127.0.0.1', port: this.#port }, options)
    return this.#connection
  }
}

function readAnswer({ status, body }: RawAnswer): Answer {
  const text = body.toString('utf8')
  return { status, text, rule: readRule(text) }
}

function readRule(text: string): string | null {
  if (!text.includes('"slurmgate"')) return null
  try {
    const { errors } = JSON.parse(text) as { errors?: { error?: string; source?: string }[] }
    return errors?.[0]?.source === 'slurmgate' ? (errors[0].error ?? null) : null
  } catch {
    return null
  }
}
