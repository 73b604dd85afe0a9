/**
 * Hands slurmrestd's answer to the client: status and body bytes as they came, headers by our own list. An answer that
 * means "your token is bad" is about the gate's token, not the caller's: it becomes a 502, never a 401.
 */

import { buildHeaders } from './answer.ts'
import { discardBody, peek, readAll } from './byte-stream.ts'
import type { GateAnswer, HeaderField } from './gate-answer.ts'
import { ERROR_BODY_MAX_BYTES, OPENAPI_MAX_BYTES } from './limits.ts'
import type { UpstreamAnswer } from './ports.ts'
import { Outage } from './refusal.ts'
import { isTokenRefused, parseSlurmAnswer, readSlurmErrors, type SlurmError } from './slurm-error.ts'

/** @throws Outage `slurm_token_refused` */
export async function forwardAnswer(
  answer: UpstreamAnswer,
  requestId: string,
  version?: number,
): Promise<GateAnswer> {
  return buildForwarded(await requireTokenTaken(answer), buildHeaders(requestId, version))
}

/** @param headers of the gate's own, to which those of slurmrestd's answer that may pass are added. */
export function buildForwarded(answer: UpstreamAnswer, headers: HeaderField[]): GateAnswer {
  const { status, contentType, contentLength, body } = answer
  if (contentType !== null) headers.push(['Content-Type', contentType])
  if (NULL_BODY_STATUSES.has(status)) {
    void discardBody(body)
    return { status, headers, body: null }
  }
  if (contentLength !== null) headers.push(['Content-Length', String(contentLength)])
  return { status, headers, body }
}

/** The Fetch standard's "null body status": a Response of these with a body throws. 304 answers an old `update_time`. */
const NULL_BODY_STATUSES: ReadonlySet<number> = new Set([204, 205, 304])

/**
 * Only error answers are looked into: a long list of jobs is never buffered for that.
 * @returns the same answer, still whole.
 * @throws Outage `slurm_token_refused`
 */
export async function requireTokenTaken(answer: UpstreamAnswer): Promise<UpstreamAnswer> {
  const { status, body } = answer
  if (status < 400) return answer
  if (body === null || body instanceof Uint8Array) {
    requireOurTokenTaken(status, body ?? NOTHING)
    return answer
  }
  const { head, isWhole, stream } = await peek(body, ERROR_BODY_MAX_BYTES)
  if (isWhole) return { ...answer, body: requireOurTokenTaken(status, head) }
  if (isTokenRefused(status, [])) await discardBody(stream)
  requireOurTokenTaken(status, NOTHING)
  return { ...answer, body: stream }
}

const NOTHING = new Uint8Array(0)

/** @throws Outage `slurm_token_refused` */
function requireOurTokenTaken(status: number, bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const errors = bytes.length > ERROR_BODY_MAX_BYTES ? [] : findErrors(bytes)
  if (!isTokenRefused(status, errors)) return bytes
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
): Promise<GateAnswer> {
  const isRewritten =
    basePath !== '/' && answer.status === 200 && answer.contentType?.startsWith('application/json') === true
  if (!isRewritten) return forwardAnswer(answer, requestId)
  const bytes = await readAll(answer.body, OPENAPI_MAX_BYTES)
  const document = parseDocument(bytes ?? new Uint8Array(0))
  const rewritten = new TextEncoder().encode(JSON.stringify({ ...document, servers: [{ url: basePath }] }))
  const headers = buildHeaders(requestId)
  headers.push(['Content-Type', 'application/json'], ['Content-Length', String(rewritten.length)])
  return { status: 200, headers, body: rewritten }
}

/** @throws Outage `upstream_unreachable` */
function parseDocument(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    return parseSlurmAnswer(bytes)
  } catch (cause) {
    throw new Outage('upstream_unreachable', 'slurmrestd’s OpenAPI document is unreadable', { cause })
  }
}
