/**
 * slurmrestd over undici's pool, which copes with its habits (doubled error answers, Connection: Close) where
 * node:http does not (measured). Sends each request once; a connection that answered with an error is not used again.
 */

import { Pool, type Dispatcher } from 'undici'
import { ANSWER_TIME_LIMITS, CLIENT_STALL_MILLISECONDS } from '../../src/limits.ts'
import type { ServiceHeaders } from '../../src/hop-settings.ts'
import type { Upstream, UpstreamAnswer, UpstreamRequest } from '../../src/ports.ts'
import { Outage } from '../../src/refusal.ts'
import type { SlurmrestdAddress } from '../../src/settings.ts'

export interface NodeUpstream extends Upstream {
  /** Cuts what is still running. */
  close(): Promise<void>
}

const CONNECT_TIMEOUT_MILLISECONDS = 5_000
/** slurmrestd closes idle connections when it likes; ours go first. */
const KEEP_ALIVE_MILLISECONDS = 4_000
/** Bytes held for a slow client before slurmrestd is told to wait. */
const BUFFERED_BYTES_MAX = 1024 * 1024
const NULL_BODY_STATUSES: ReadonlySet<number> = new Set([204, 205, 304])

export function createUndiciUpstream(address: SlurmrestdAddress, maxConnections: number): NodeUpstream {
  const isUnix = address.kind === 'unix'
  const serviceHeaders = isUnix ? {} : address.serviceHeaders
  const pool = new Pool(isUnix ? 'http://localhost' : address.url.origin, {
    connections: maxConnections,
    pipelining: 1,
    connectTimeout: CONNECT_TIMEOUT_MILLISECONDS,
    keepAliveTimeout: KEEP_ALIVE_MILLISECONDS,
    ...(isUnix ? { socketPath: address.path } : {}),
  })
  return {
    send: (request) =>
      new Promise((resolve, reject) => {
        pool.dispatch(buildDispatch(request, serviceHeaders), new AnswerHandler(resolve, reject, request))
      }),
    close: () => pool.destroy(),
  }
}

function buildDispatch(request: UpstreamRequest, serviceHeaders: ServiceHeaders): Dispatcher.DispatchOptions {
  return {
    path: request.target,
    method: request.method,
    headers: { ...request.headers, ...serviceHeaders },
    body: request.body,
    headersTimeout: request.timeoutMilliseconds,
    bodyTimeout: request.timeoutMilliseconds,
    // undici may otherwise send an idempotent request again on another connection.
    idempotent: false,
  }
}

/** Turns undici's events into one answer with a body stream. */
class AnswerHandler implements Dispatcher.DispatchHandler {
  readonly #resolve: (answer: UpstreamAnswer) => void
  readonly #reject: (cause: unknown) => void
  #controller: Dispatcher.DispatchController | null = null
  #body: ReadableStreamDefaultController<Uint8Array> | null = null
  /** Bytes of an error answer still to come; null: not an error answer, or of unknown length. */
  #errorBytesLeft: number | null = null
  #isOver = false
  readonly #onEnd: (() => void) | undefined
  readonly #timeoutMilliseconds: number
  #stall: NodeJS.Timeout | undefined
  #deadline: NodeJS.Timeout | undefined

  constructor(
    resolve: (answer: UpstreamAnswer) => void,
    reject: (cause: unknown) => void,
    request: UpstreamRequest,
  ) {
    this.#resolve = resolve
    this.#reject = reject
    this.#onEnd = request.onEnd
    this.#timeoutMilliseconds = request.timeoutMilliseconds
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (status < 200) return
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
    const wholeMilliseconds = ANSWER_TIME_LIMITS * this.#timeoutMilliseconds
    this.#deadline = setTimeout(() => this.#cutOff('the client took too long'), wholeMilliseconds)
    const body = new ReadableStream<Uint8Array>(
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
    this.#resolve({ status, contentType, contentLength, body })
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    // Told to go on where nothing has come yet, undici's parser gives an empty chunk (measured on 7.30): put into the
    // stream it would be read at once, and the parser told to go on again, without end.
    if (this.#isOver || chunk.length === 0) return
    this.#body?.enqueue(chunk)
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
    this.#end()
    this.#body?.close()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#isOver) return
    this.#end()
    const outage = toOutage(error)
    if (this.#body === null) this.#reject(outage)
    else this.#body.error(outage)
  }

  /** 26.05 sends most errors twice (measured): the second copy must not meet the next request's reader. */
  #endErrorAnswer(controller: Dispatcher.DispatchController): void {
    this.#end()
    this.#body?.close()
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
      CLIENT_STALL_MILLISECONDS,
    )
  }

  #cutOff(why: string): void {
    const outage = new Outage('overloaded', why)
    this.#giveUp(outage)
    this.#body?.error(outage)
  }

  #end(): void {
    this.#isOver = true
    clearTimeout(this.#stall)
    clearTimeout(this.#deadline)
    this.#onEnd?.()
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
