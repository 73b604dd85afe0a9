/** slurmrestd over `fetch`, which on workerd copes with its doubled error answers (measured). Sends each request once. */

import { ANSWER_TIME_LIMITS } from '../../src/limits.ts'
import { failOnSilence } from '../../src/byte-stream.ts'
import type { Upstream, UpstreamAnswer, UpstreamRequest } from '../../src/ports.ts'
import { Outage } from '../../src/refusal.ts'
import type { SlurmrestdAddress } from '../../src/settings.ts'
import type { Fetch } from './bindings.ts'

/**
 * @param waitUntil lets work go on when the client has gone: without it nobody would give its slot back.
 */
export function createFetchUpstream(
  address: SlurmrestdAddress,
  waitUntil: (work: Promise<unknown>) => void,
  fetch: Fetch,
): Upstream {
  const { origin, serviceHeaders } =
    address.kind === 'url'
      ? { origin: address.url.origin, serviceHeaders: address.serviceHeaders }
      : { origin: '', serviceHeaders: {} }
  return {
    async send(request) {
      const timeout = new AbortController()
      const abort = (): void => timeout.abort()
      const timer = setTimeout(abort, request.timeoutMilliseconds)
      try {
        const headers = { ...request.headers, ...serviceHeaders }
        const fetching = fetch(buildRequest(origin, { ...request, headers }, timeout.signal))
        waitUntil(fetching.catch(() => undefined))
        return readAnswer(await fetching, request, abort, waitUntil)
      } catch (cause) {
        if (timeout.signal.aborted)
          throw new Outage('upstream_timeout', 'slurmrestd took too long', { cause })
        throw new Outage('upstream_unreachable', 'slurmrestd cannot be reached', { cause })
      } finally {
        clearTimeout(timer)
      }
    },
  }
}

/** No redirect is followed: that would take the Slurm token, and the secret of the hop, elsewhere. */
function buildRequest(origin: string, request: UpstreamRequest, signal: AbortSignal): Request {
  const init = {
    method: request.method,
    headers: { ...request.headers, 'accept-encoding': 'identity' },
    body: request.body === null ? null : new Uint8Array(request.body),
    redirect: 'manual' as const,
    // What one user may see is no other user's, and the look at a job before a write must be fresh.
    cache: 'no-store',
    signal,
  }
  return new Request(`${origin}${request.target}`, init)
}

function readAnswer(
  response: Response,
  request: UpstreamRequest,
  abort: () => void,
  waitUntil: (work: Promise<unknown>) => void,
): UpstreamAnswer {
  const text = response.headers.get('content-length')
  const contentLength = text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null
  if (response.body === null) request.onEnd?.()
  return {
    status: response.status,
    contentType: response.headers.get('content-type'),
    contentLength,
    body: response.body === null ? null : pump(response.body, contentLength, request, abort, waitUntil),
  }
}

/**
 * Through a stream that knows its length: workerd then sends Content-Length, and breaks the connection where fewer
 * bytes come. Without it a truncated answer would look whole (measured).
 */
function pump(
  body: ReadableStream<Uint8Array>,
  contentLength: number | null,
  { timeoutMilliseconds, onEnd }: UpstreamRequest,
  abort: () => void,
  waitUntil: (work: Promise<unknown>) => void,
): ReadableStream<Uint8Array> {
  const onSilence = (): Outage =>
    new Outage('upstream_timeout', 'slurmrestd stopped in the middle of an answer')
  const through =
    contentLength === null
      ? new TransformStream<Uint8Array, Uint8Array>()
      : new FixedLengthStream(contentLength)
  const deadline = setTimeout(abort, ANSWER_TIME_LIMITS * timeoutMilliseconds)
  const end = (): void => {
    clearTimeout(deadline)
    onEnd?.()
  }
  waitUntil(failOnSilence(body, timeoutMilliseconds, onSilence).pipeTo(through.writable).then(end, end))
  return through.readable
}
