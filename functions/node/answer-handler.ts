/**
 * Turns undici's events of one call into its answer: whole, or as a stream at the client's pace. Says once when slurmrestd
 * is done, which may be long after nobody waits for the answer any more.
 */

import type { Dispatcher } from 'undici'
import { ANSWER_TIME_LIMITS } from '../../src/limits.ts'
import type { UpstreamAnswer, UpstreamRequest } from '../../src/ports.ts'
import { Outage } from '../../src/refusal.ts'
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

export class AnswerHandler implements Dispatcher.DispatchHandler {
  readonly #resolve: (answer: UpstreamAnswer) => void
  readonly #reject: (cause: unknown) => void
  #controller: Dispatcher.DispatchController | null = null
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

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    // It waited for a connection until nobody wanted it any more: a write must not go out now.
    if (this.#isLate) this.#giveUp(new Error('nobody waits for it any more'))
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (status < 200) return
    clearTimeout(this.#deadline)
    if (this.#isLate) {
      this.#end()
      this.#drop(controller)
      return
    }
    const contentLength = readLength(headers['content-length'])
    const contentType = readOne(headers['content-type'])
    const isClosing = /close/i.test(readOne(headers['connection']) ?? '')
    if (status > 599 || (status >= 400 && contentLength === null && !isClosing)) {
      this.#end()
      this.#reject(new Outage('upstream_unreachable', `slurmrestd answered unreadably (${status})`))
      this.#drop(controller)
      return
    }
    const hasBody = contentLength !== 0 && !NULL_BODY_STATUSES.has(status)
    if (!hasBody && (status >= 400 || status === 304)) {
      this.#end()
      this.#resolve({ status, contentType, contentLength: null, body: null })
      this.#drop(controller)
      return
    }
    if (status >= 400) this.#errorBytesLeft = contentLength
    const wholeMilliseconds = ANSWER_TIME_LIMITS * this.#request.timeoutMilliseconds
    this.#deadline = setTimeout(() => this.#cutOff('the answer took too long'), wholeMilliseconds)
    const head = { status, contentType, contentLength }
    const isWhole =
      contentLength === 0 || (contentLength !== null && this.#request.takeWhole?.(contentLength) === true)
    if (isWhole) this.#gathering = { head, bytes: new Uint8Array(contentLength), filled: 0 }
    else this.#resolve({ ...head, body: this.#openStream(controller) })
  }

  #openStream(controller: Dispatcher.DispatchController): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        start: (body) => {
          this.#body = body
        },
        pull: () => {
          clearTimeout(this.#stall)
          controller.resume()
        },
        cancel: (reason) => this.#giveUp(reason),
      },
      { highWaterMark: BUFFERED_BYTES_MAX, size: (chunk) => chunk.length },
    )
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    // Told to go on where nothing has come yet, undici's parser gives an empty chunk (measured on 7.30): put into the
    // stream it would be read at once, and the parser told to go on again, without end.
    if (this.#isOver || chunk.length === 0) return
    this.#take(chunk)
    if (this.#errorBytesLeft !== null) {
      this.#errorBytesLeft -= chunk.length
      if (this.#errorBytesLeft <= 0) {
        this.#endErrorAnswer(controller)
        return
      }
    }
    if ((this.#body?.desiredSize ?? 1) <= 0) this.#wait(controller)
  }

  onResponseEnd(): void {
    if (this.#isOver) return
    this.#finish()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#isOver) return
    this.#end()
    const outage = toOutage(error)
    if (this.#body === null) this.#reject(outage)
    else this.#body.error(outage)
  }

  #take(chunk: Buffer): void {
    const gathering = this.#gathering
    if (gathering === null) {
      this.#body?.enqueue(chunk)
      collectPassed(chunk.length)
      return
    }
    const room = gathering.bytes.length - gathering.filled
    gathering.bytes.set(chunk.length > room ? chunk.subarray(0, room) : chunk, gathering.filled)
    gathering.filled += Math.min(room, chunk.length)
  }

  #finish(): void {
    this.#end()
    this.#body?.close()
    if (this.#gathering === null) return
    const { head, bytes, filled } = this.#gathering
    if (filled === bytes.length) this.#resolve({ ...head, body: bytes })
    else this.#reject(new Outage('upstream_unreachable', 'slurmrestd stopped in the middle of an answer'))
  }

  /** The client does not wait longer. slurmrestd does not notice and goes on, so a slot stays taken (measured). */
  #sayLate(): void {
    this.#isLate = true
    const isCounted = this.#request.onEnd !== undefined
    if (this.#controller !== null && !isCounted) this.#giveUp(new Error('nobody waits for it any more'))
    this.#reject(new Outage('upstream_timeout', 'slurmrestd took too long'))
  }

  /** 26.05 sends most errors twice (measured): the second copy must not meet the next request's reader. */
  #endErrorAnswer(controller: Dispatcher.DispatchController): void {
    this.#finish()
    this.#drop(controller)
  }

  #drop(controller: Dispatcher.DispatchController): void {
    controller.abort(new Error('connections that answered with an error are not used again'))
  }

  /** undici's own timeouts rest while it is paused: a client that stops reading would hold its slot for ever. */
  #wait(controller: Dispatcher.DispatchController): void {
    controller.pause()
    clearTimeout(this.#stall)
    this.#stall = setTimeout(
      () => this.#cutOff('the client did not take its answer'),
      this.#clientStallMilliseconds,
    )
  }

  #cutOff(why: string): void {
    const outage = new Outage('overloaded', why)
    this.#giveUp(outage)
    if (this.#body === null) this.#reject(outage)
    else this.#body.error(outage)
  }

  #end(): void {
    this.#isOver = true
    clearTimeout(this.#stall)
    clearTimeout(this.#deadline)
    this.#request.onEnd?.()
  }

  #giveUp(reason: unknown): void {
    if (this.#isOver) return
    this.#end()
    this.#controller?.abort(reason instanceof Error ? reason : new Error('the client has gone'))
  }
}

/** A client that has gone is none of these: nobody is left to be told. */
function toOutage(error: Error): Outage {
  const code = 'code' in error ? String(error.code) : error.name
  const isTimeout = code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT'
  return isTimeout
    ? new Outage('upstream_timeout', `slurmrestd took too long (${code})`, { cause: error })
    : new Outage('upstream_unreachable', `slurmrestd cannot be reached (${code})`, { cause: error })
}

function readOne(value: string | string[] | undefined): string | null {
  return (Array.isArray(value) ? value[0] : value) ?? null
}

function readLength(value: string | string[] | undefined): number | null {
  const text = readOne(value)
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null
}
