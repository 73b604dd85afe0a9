/**
 * Hands slurmrestd's answer to the client: status and body bytes as they came, headers by our own list. An answer that
 * means "your token is bad" is about the gate's token, not the caller's: it becomes a 502, never a 401.
 */

import { buildHeaders } from './answer.ts'
import { peek, readAll } from './byte-stream.ts'
import { ERROR_BODY_MAX_BYTES, OPENAPI_MAX_BYTES } from './limits.ts'
import type { UpstreamAnswer } from './ports.ts'
import { Outage } from './refusal.ts'
import { isTokenRefused, parseSlurmAnswer, readSlurmErrors, type SlurmError } from './slurm-error.ts'

/** @throws Outage `slurm_token_refused` */
export async function forwardAnswer(
  answer: UpstreamAnswer,
  requestId: string,
  version?: number,
): Promise<Response> {
  const headers = buildHeaders(requestId, version)
  if (answer.contentType !== null) headers.set('Content-Type', answer.contentType)
  if (answer.contentLength !== null) headers.set('Content-Length', String(answer.contentLength))
  if (NULL_BODY_STATUSES.has(answer.status)) {
    await answer.body?.cancel().catch(() => undefined)
    headers.delete('Content-Length')
    return new Response(null, { status: answer.status, headers })
  }
  const body = answer.status < 400 ? answer.body : await lookIntoError(answer)
  return new Response(body, { status: answer.status, headers })
}

/** The Fetch standard's "null body status": a Response of these with a body throws. 304 answers an old `update_time`. */
const NULL_BODY_STATUSES: ReadonlySet<number> = new Set([204, 205, 304])

/** Only error answers are looked into: a long list of jobs is never buffered. */
async function lookIntoError(
  answer: UpstreamAnswer,
): Promise<ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer> | null> {
  if (answer.body === null) return requireOurTokenTaken(answer.status, new Uint8Array(0))
  const { head, isWhole, stream } = await peek(answer.body, ERROR_BODY_MAX_BYTES)
  if (isWhole) return requireOurTokenTaken(answer.status, head)
  if (isTokenRefused(answer.status, [])) await stream.cancel().catch(() => undefined)
  requireOurTokenTaken(answer.status, new Uint8Array(0))
  return stream
}

/** @throws Outage `slurm_token_refused` */
function requireOurTokenTaken(status: number, bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (!isTokenRefused(status, findErrors(bytes))) return bytes
  throw new Outage('slurm_token_refused', `slurmrestd refused the gate's Slurm token with ${status}`)
}

/** Many of slurmrestd's errors are plain text. */
function findErrors(bytes: Uint8Array): readonly SlurmError[] {
  try {
    return readSlurmErrors(parseSlurmAnswer(bytes)['errors'])
  } catch {
    return []
  }
}

/**
 * The OpenAPI document, with `servers` set to where the gate is mounted; everything else stays.
 * @throws Outage `slurm_token_refused`
 */
export async function forwardOpenApi(
  answer: UpstreamAnswer,
  requestId: string,
  basePath: string,
): Promise<Response> {
  const isRewritten =
    basePath !== '/' && answer.status === 200 && answer.contentType?.startsWith('application/json') === true
  if (!isRewritten) return forwardAnswer(answer, requestId)
  const bytes = await readAll(answer.body, OPENAPI_MAX_BYTES)
  const document = parseDocument(bytes ?? new Uint8Array(0))
  const rewritten = new TextEncoder().encode(JSON.stringify({ ...document, servers: [{ url: basePath }] }))
  const headers = buildHeaders(requestId)
  headers.set('Content-Type', 'application/json')
  headers.set('Content-Length', String(rewritten.length))
  return new Response(rewritten, { status: 200, headers })
}

/** @throws Outage `upstream_unreachable` */
function parseDocument(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    return parseSlurmAnswer(bytes)
  } catch (cause) {
    throw new Outage('upstream_unreachable', 'slurmrestd’s OpenAPI document is unreadable', { cause })
  }
}
