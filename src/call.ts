/**
 * Reads what an operation is called with: its query and its body, each only where slurmrestd takes it from there.
 * slurmrestd 24.11+ reads a GET's parameters from a body and a POST's from the query if it finds any (measured).
 */

import { readAll } from './byte-stream.ts'
import type { HeaderFields } from './header-fields.ts'
import { QUERY_VALUE_MAX_CHARACTERS, YAML_MAX_BYTES } from './limits.ts'
import { encodeText, type Operation } from './operation.ts'
import { findQueryRule } from './policy/query-rules.ts'
import type { Principal } from './principal.ts'
import { refuse, type Refusal } from './refusal.ts'
import type { Route } from './policy/route-table.ts'

export interface CallBody {
  /** As every slurmrestd takes it: no parameters such as `charset`, and 22.05 knows YAML by this name only (measured). */
  readonly contentType: 'application/json' | 'application/x-yaml'
  readonly bytes: Uint8Array<ArrayBuffer>
}

export interface Call {
  readonly kind: 'call'
  readonly operation: Operation
  readonly query: readonly (readonly [name: string, value: string])[]
  readonly body: CallBody | null
}

/** The parts of a request that a call is read from. */
export interface CallSource {
  /** With its question mark, or empty. */
  readonly search: string
  readonly headers: HeaderFields
  readonly readBody: () => ReadableStream<Uint8Array> | null
}

/** Refuses in the contract's order: query, body where none belongs, content type, size. */
export async function readCall(
  source: CallSource,
  operation: Operation,
  principal: Principal,
  bodyMaxBytes: number,
): Promise<Call | Refusal> {
  const query = readQuery(source.search, operation)
  if ('kind' in query) return query
  const isExpected = operation.route.method === 'POST'
  if (!isExpected && !announcesBody(source.headers)) return buildCall(operation, query, null)
  if (operation.route.body === null) return refuse('body_not_allowed')
  const contentType = readContentType(source.headers, principal.method === 'munge')
  if (contentType === null) return refuse('content_type_unsupported')
  const isYaml = contentType === 'application/x-yaml' && bodyMaxBytes > YAML_MAX_BYTES
  const bytes = await (isYaml
    ? readBody(source, YAML_MAX_BYTES, `YAML is taken up to ${YAML_MAX_BYTES} bytes; send it as JSON`)
    : readBody(source, bodyMaxBytes))
  if ('kind' in bytes) return bytes
  return buildCall(operation, query, bytes.length === 0 ? null : { contentType, bytes })
}

/** A POST without a body would be read from its query. */
function buildCall(operation: Operation, query: Call['query'], body: CallBody | null): Call | Refusal {
  if (body === null && operation.route.method === 'POST') {
    return refuse('json_malformed', { description: 'the body is empty; this operation needs one' })
  }
  return { kind: 'call', operation, query, body }
}

/** Names from the route's list, each once; values are checked, and encoded anew when they go upstream. */
function readQuery(search: string, { route, version }: Operation): Call['query'] | Refusal {
  const query: (readonly [string, string])[] = []
  const seen = new Set<string>()
  for (const part of search.replace(/^\?/, '').split('&')) {
    if (part === '') continue
    if (route.method === 'POST') return refuse('query_on_post')
    const equals = part.indexOf('=')
    const name = decodeQueryText(equals === -1 ? part : part.slice(0, equals))
    const given = decodeQueryText(equals === -1 ? '' : part.slice(equals + 1))
    if (name === null || given === null || seen.has(name)) return refuse('query_malformed')
    if (!route.query.includes(name)) return refuseQueryName(name, route)
    const rule = findQueryRule(name, route.template, version)
    const value = equals === -1 ? (rule.whenBare ?? given) : given
    if (!rule.isGood(value)) {
      return refuse('query_malformed', { description: `${name} must be ${rule.words}` })
    }
    seen.add(name)
    query.push([name, value])
  }
  const { oneOf } = route
  if (oneOf !== null && !oneOf.some((name) => seen.has(name))) {
    return refuse('query_malformed', { description: `name at least one of: ${oneOf.join(', ')}` })
  }
  return query
}

/** @returns null for text that is not UTF-8, has control characters, or is over-long. */
function decodeQueryText(text: string): string | null {
  try {
    const decoded = decodeURIComponent(text.replaceAll('+', ' '))
    const isClean = !/[\u0000-\u001f\u007f]/.test(decoded)
    return isClean && decoded.length <= QUERY_VALUE_MAX_CHARACTERS ? decoded : null
  } catch {
    return null
  }
}

function refuseQueryName(name: string, route: Route): Refusal {
  const shown = /^[A-Za-z0-9_ ]{1,64}$/.test(name) ? `"${name}"` : 'one of these query parameters'
  const allowed = route.query.length === 0 ? 'it takes none' : `it takes: ${route.query.join(', ')}`
  return refuse('query_not_allowed', { description: `this operation does not take ${shown}; ${allowed}` })
}

/** Clients send `Content-Length: 0` with GET (measured): that is no body. A chunked body is one even if empty. */
export function announcesBody(headers: HeaderFields): boolean {
  const length = headers.get('content-length')
  return headers.has('transfer-encoding') || (length !== null && !/^0+$/.test(length.trim()))
}

const YAML_TYPES: ReadonlySet<string> = new Set(['application/yaml', 'application/x-yaml', 'text/yaml'])

/** @returns null where slurmrestd would guess, or where the gate could not judge what it would read. */
export function readContentType(headers: HeaderFields, mayBeYaml: boolean): CallBody['contentType'] | null {
  const coding = headers.get('content-encoding')
  if (coding !== null && coding.trim().toLowerCase() !== 'identity') return null
  const [type = '', ...parameters] = (headers.get('content-type') ?? '').toLowerCase().split(';')
  const isUtf8 = parameters.every((parameter) => /^(charset="?utf-8"?)?$/.test(parameter.trim()))
  if (!isUtf8) return null
  if (type.trim() === 'application/json') return 'application/json'
  return mayBeYaml && YAML_TYPES.has(type.trim()) ? 'application/x-yaml' : null
}

/** The size is known before the first byte where the client says it, and enforced while reading where it does not. */
export async function readBody(
  source: Pick<CallSource, 'headers' | 'readBody'>,
  bodyMaxBytes: number,
  description = `the body is larger than ${bodyMaxBytes} bytes`,
): Promise<Uint8Array<ArrayBuffer> | Refusal> {
  const tooLarge = refuse('body_too_large', { description })
  if (Number(source.headers.get('content-length') ?? 0) > bodyMaxBytes) return tooLarge
  // Of `gzip, chunked` Node takes only the chunks apart: the next parser may read another document (smuggling).
  const coding = source.headers.get('transfer-encoding')
  if (coding !== null && coding.trim().toLowerCase() !== 'chunked') return refuse('body_malformed')
  try {
    return (await readAll(source.readBody(), bodyMaxBytes)) ?? tooLarge
  } catch {
    return refuse('body_malformed')
  }
}

/** Names and values encoded by us: every character a URL could give a meaning to is escaped. */
export function buildQuery(query: Call['query']): string {
  if (query.length === 0) return ''
  return `?${query.map(([name, value]) => `${encodeText(name)}=${encodeText(value)}`).join('&')}`
}
