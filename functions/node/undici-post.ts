/** Questions to the verifier over undici's pool: a fraction of what `fetch` costs for a short answer (bench). */

import { Pool, type Dispatcher } from 'undici'
import type { Post } from '../../src/munge/verifier-channel.ts'

/** The verifier's server closes idle connections after 5 s and says so; ours go first. */
const KEEP_ALIVE_MILLISECONDS = 4_000
const CONNECT_TIMEOUT_MILLISECONDS = 4_000

/** @param url whose origin all questions go to. Opens nothing yet. */
export function createUndiciPost({ origin }: URL): Post {
  const pool = new Pool(origin, {
    pipelining: 1,
    connectTimeout: CONNECT_TIMEOUT_MILLISECONDS,
    keepAliveTimeout: KEEP_ALIVE_MILLISECONDS,
    // One time limit for the whole call, below.
    headersTimeout: 0,
    bodyTimeout: 0,
  })
  return (url, body, options) =>
    new Promise((resolve, reject) => {
      const path = url.slice(origin.length)
      const headers = { ...options.headers, 'content-type': 'application/json' }
      const request = { path, method: 'POST', headers, body, idempotent: false } as const
      pool.dispatch(request, new AnswerCollector(resolve, reject, options))
    })
}

type Answer = Awaited<ReturnType<Post>>

/** Settles once: what comes after that is nobody's. */
class AnswerCollector implements Dispatcher.DispatchHandler {
  readonly #resolve: (answer: Answer) => void
  readonly #reject: (cause: Error) => void
  readonly #maxBytes: number
  readonly #timer: ReturnType<typeof setTimeout>
  readonly #chunks: Buffer[] = []
  #controller: Dispatcher.DispatchController | null = null
  #failure: Error | null = null
  #status = 0
  #length = 0

  constructor(
    resolve: (answer: Answer) => void,
    reject: (cause: Error) => void,
    { maxBytes, timeoutMilliseconds }: Parameters<Post>[2],
  ) {
    this.#resolve = resolve
    this.#reject = reject
    this.#maxBytes = maxBytes
    this.#timer = setTimeout(
      () => this.#fail(new Error(`no whole answer within ${timeoutMilliseconds} ms`)),
      timeoutMilliseconds,
    )
  }

  /** A connection may come about only after the time was up: then nothing is sent on it. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#failure !== null) controller.abort(this.#failure)
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    this.#status = status
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#length += chunk.length
    if (this.#length <= this.#maxBytes) this.#chunks.push(chunk)
    else {
      this.#settle(null)
      controller.abort(new Error('longer than is read'))
    }
  }

  onResponseEnd(): void {
    this.#settle(Buffer.concat(this.#chunks).toString('utf8'))
  }

  onResponseError(_controller: Dispatcher.DispatchController, cause: Error): void {
    this.#fail(cause)
  }

  #settle(text: string | null): void {
    clearTimeout(this.#timer)
    this.#resolve({ status: this.#status, text })
  }

  #fail(cause: Error): void {
    clearTimeout(this.#timer)
    this.#failure = cause
    this.#reject(cause)
    this.#controller?.abort(cause)
  }
}
