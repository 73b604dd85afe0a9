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
      const cut = new AbortController()
      const abort = (): void => cut.abort()
      const headers = { ...request.headers, ...serviceHeaders }
      const fetching = fetch(buildRequest(origin, { ...request, headers }, cut.signal))
      const response = await waitForHead(fetching, request, abort, waitUntil)
      return readAnswer(response, request, abort, waitUntil)
    },
  }
}

/** @throws Outage `upstream_unreachable`, `upstream_timeout` */
async function waitForHead(
  fetching: Promise<Response>,
  { timeoutMilliseconds, onEnd }: UpstreamRequest,
  abort: () => void,
  waitUntil: (work: Promise<unknown>) => void,
): Promise<Response> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), timeoutMilliseconds)
  })
  waitUntil(fetching.catch(() => undefined))
  try {
    const response = await Promise.race([fetching, late])
    if (response !== null) return response
  } catch (cause) {
    throw new Outage('upstream_unreachable', 'slurmrestd cannot be reached', { cause })
  } finally {
    clearTimeout(timer)
  }
  // slurmrestd goes on working, so its slot stays taken until it is done; what no slot is counted for is cut.
  if (onEnd === undefined) abort()
  else waitUntil(fetching.then((response) => response.body?.cancel()).then(onEnd, onEnd))
  throw new Outage('upstream_timeout', 'slurmrestd took too long')
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

async function readAnswer(
  response: Response,
  request: UpstreamRequest,
  abort: () => void,
  waitUntil: (work: Promise<unknown>) => void,
): Promise<UpstreamAnswer> {
  const text = response.headers.get('content-length')
  const contentLength = text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null
  const { status, body } = response
  const head = { status, contentType: response.headers.get('content-type'), contentLength }
  if (body === null) {
    request.onEnd?.()
    return { ...head, body }
  }
  const stream = pump(body, contentLength, request, abort, waitUntil)
  if (contentLength === null || request.takeWhole?.(contentLength) !== true) return { ...head, body: stream }
  try {
    return { ...head, body: new Uint8Array(await new Response(stream).arrayBuffer()) }
  } catch (cause) {
    throw new Outage('upstream_unreachable', 'slurmrestd stopped in the middle of an answer', { cause })
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
