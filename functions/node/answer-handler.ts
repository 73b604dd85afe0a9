/**
 * Turns a connection's events of one call into its answer: whole, or as a stream at the client's pace. Says once when slurmrestd
 * is done, which may be long after nobody waits for the answer any more.
 */

import { ANSWER_TIME_LIMITS } from '../../src/limits.ts'
import type { UpstreamAnswer, UpstreamRequest } from '../../src/ports.ts'
import { Outage } from '../../src/refusal.ts'
import type { AnswerController, AnswerEvents, AnswerStart } from './answer-events.ts'
import { collectPassed } from './collect-passed.ts'

/** Bytes held for a slow client before slurmrestd is told to wait. */
const BUFFERED_BYTES_MAX = 1024 * 1024
const NULL_BODY_STATUSES: ReadonlySet<number> = new Set([204, 205, 304])

/** The head of an answer. */
type Head = Pick<UpstreamAnswer, 'status' | 'contentType' | 'contentLength'>

/** An answer that is gathered before anybody gets it. */
interface Gathering {
  readonly head: Head
  readonly bytes: Uint8Array<ArrayBuffer>
  filled: number
}

export class AnswerHandler implements AnswerEvents {
  readonly #resolve: (answer: UpstreamAnswer) => void
  readonly #reject: (cause: unknown) => void
  #controller: AnswerController | null = null
  #body: ReadableStreamDefaultController<Uint8Array> | null = null
  #gathering: Gathering | null = null
  /** Bytes of an error answer still to come; null: not an error answer, or of unknown length. */
  #errorBytesLeft: number | null = null
  #isOver = false
  /** 504 was said. */
  #isLate = false
  readonly #request: UpstreamRequest
  readonly #clientStallMilliseconds: number
  #stall: NodeJS.Timeout | undefined
  /** First for the head, then for the whole answer. */
  #deadline: NodeJS.Timeout | undefined
  /** `performance.now()` by which the whole answer has to be there. */
  #wholeUntil = 0

  constructor(
    resolve: (answer: UpstreamAnswer) => void,
    reject: (cause: unknown) => void,
    request: UpstreamRequest,
    clientStallMilliseconds: number,
  ) {
    this.#resolve = resolve
    this.#reject = reject
    this.#request = request
    this.#clientStallMilliseconds = clientStallMilliseconds
    this.#deadline = setTimeout(() => this.#sayLate(), request.timeoutMilliseconds)
  }

  onRequestStart(controller: AnswerController): boolean {
    // It waited for a connection until nobody wanted it any more: a write must not go out now.
    if (this.#isLate) {
      if (!this.#isOver) this.#end()
      return false
    }
    this.#controller = controller
    return true
  }

  onResponseStart({ status, contentType, contentLength, isClosing }: AnswerStart): void {
    clearTimeout(this.#deadline)
    this.#deadline = undefined
    if (this.#isLate) {
      this.#end()
      this.#drop()
      return
    }
    if (status > 599 || (status >= 400 && contentLength === null && !isClosing)) {
      this.#end()
      this.#reject(new Outage('upstream_unreachable', `slurmrestd answered unreadably (${status})`))
      this.#drop()
      return
    }
    const hasBody = contentLength !== 0 && !NULL_BODY_STATUSES.has(status)
    if (!hasBody && (status >= 400 || status === 304)) {
      this.#end()
      this.#resolve({ status, contentType, contentLength: null, body: null })
      this.#drop()
      return
    }
    if (status >= 400) this.#errorBytesLeft = contentLength
    const head = { status, contentType, contentLength }
    const isWhole =
      contentLength === 0 || (contentLength !== null && this.#request.takeWhole?.(contentLength) === true)
    this.#wholeUntil = performance.now() + ANSWER_TIME_LIMITS * this.#request.timeoutMilliseconds
    if (isWhole) {
      this.#gathering = { head, bytes: new Uint8Array(contentLength), filled: 0 }
      // While a body still goes out, what the connection times as silence may be none.
      if (this.#request.body !== null) this.#boundWhole()
      return
    }
    this.#boundWhole()
    this.#resolve({ status, contentType, contentLength, body: this.#openStream() })
  }

  /** Most answers to reads are there at once, and need no timer. Where nothing comes behind the head, silence is timed. */
  #boundWhole(): void {
    const milliseconds = this.#wholeUntil - performance.now()
    this.#deadline = setTimeout(() => this.#cutOff('the answer took too long'), milliseconds)
  }

  #openStream(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        start: (body) => {
          this.#body = body
        },
        pull: () => {
          clearTimeout(this.#stall)
          if (!this.#isOver) this.#controller?.resume()
        },
        cancel: () => this.#giveUp(),
      },
      { highWaterMark: BUFFERED_BYTES_MAX, size: (chunk) => chunk.length },
    )
  }

  onResponseData(piece: Uint8Array): void {
    if (this.#isOver) return
    this.#take(piece)
    if (this.#errorBytesLeft !== null) {
      this.#errorBytesLeft -= piece.length
      if (this.#errorBytesLeft <= 0) {
        this.#endErrorAnswer()
        return
      }
    }
    if ((this.#body?.desiredSize ?? 1) <= 0) this.#wait()
  }

  onResponseEnd(): void {
    if (this.#isOver) return
    this.#finish()
  }

  onResponseError(error: Error): void {
    if (this.#isOver) return
    this.#end()
    const outage = toOutage(error)
    if (this.#body === null) this.#reject(outage)
    else this.#body.error(outage)
  }

  /** Copies it: its bytes are the connection's, for the next piece. */
  #take(piece: Uint8Array): void {
    const gathering = this.#gathering
    if (gathering === null) {
      this.#body?.enqueue(new Uint8Array(piece))
      collectPassed(piece.length)
      return
    }
    const room = gathering.bytes.length - gathering.filled
    gathering.bytes.set(piece.length > room ? piece.subarray(0, room) : piece, gathering.filled)
    gathering.filled += Math.min(room, piece.length)
    if (gathering.filled < gathering.bytes.length && this.#deadline === undefined) this.#boundWhole()
  }

  #finish(): void {
    this.#end()
    this.#body?.close()
    if (this.#gathering === null) return
    const { head, bytes, filled } = this.#gathering
    const { status, contentType, contentLength } = head
    if (filled === bytes.length) this.#resolve({ status, contentType, contentLength, body: bytes })
    else this.#reject(new Outage('upstream_unreachable', 'slurmrestd stopped in the middle of an answer'))
  }

  /** The client does not wait longer. slurmrestd does not notice and goes on, so a slot stays taken (measured). */
  #sayLate(): void {
    this.#isLate = true
    const isCounted = this.#request.onEnd !== undefined
    if (this.#controller !== null && !isCounted) this.#giveUp()
    this.#reject(new Outage('upstream_timeout', 'slurmrestd took too long'))
  }

  /** 26.05 sends most errors twice (measured): the second copy must not meet the next request's reader. */
  #endErrorAnswer(): void {
    this.#finish()
    this.#drop()
  }

  /** Connections that answered with an error are not used again. */
  #drop(): void {
    this.#controller?.abort()
  }

  /** Silence is not timed while it is paused: a client that stops reading would hold its slot for ever. */
  #wait(): void {
    this.#controller?.pause()
    clearTimeout(this.#stall)
    this.#stall = setTimeout(
      () => this.#cutOff('the client did not take its answer'),
      this.#clientStallMilliseconds,
    )
  }

  #cutOff(why: string): void {
    const outage = new Outage('overloaded', why)
    this.#giveUp()
    if (this.#body === null) this.#reject(outage)
    else this.#body.error(outage)
  }

  #end(): void {
    this.#isOver = true
    clearTimeout(this.#stall)
    clearTimeout(this.#deadline)
    this.#request.onEnd?.()
  }

  #giveUp(): void {
    if (this.#isOver) return
    this.#end()
    this.#controller?.abort()
  }
}

/** What a socket fails with has a code that operators know. */
function toOutage(error: Error): Outage {
  if (error instanceof Outage) return error
  const code = 'code' in error ? String(error.code) : error.name
  return new Outage('upstream_unreachable', `slurmrestd cannot be reached (${code})`, { cause: error })
}
