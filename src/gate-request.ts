/** Reads a request once, before anything is believed: what the stages of the gate work on. */

import type { Context } from 'hono'
import type { Connection, FindClientAddress } from './client-address.ts'
import { createHeaderFields, type HeaderFields } from './header-fields.ts'
import { formatHex } from './hex.ts'
import { parseSegments } from './operation.ts'
import type { ClientAddress, RandomBytes, RawHeaders } from './ports.ts'
import { parseTarget } from './request-target.ts'

/** A request as its runtime shows it. */
export interface SentRequest {
  readonly method: string
  /** Path and query of the request line, beginning with a slash, as untouched as the runtime shows them. */
  readonly target: string
  /** Repeated headers stand repeatedly where the runtime keeps them apart. */
  readonly rawHeaders: RawHeaders
  readonly readConnection: () => Connection
  /** To be called once, when a body belongs there: some runtimes make the stream only then. */
  readonly readBody: () => ReadableStream<Uint8Array> | null
}

/** What a runtime's own server knows of a request beyond the Web's Request. */
export type ReadSentRequest = (context: Context) => SentRequest

export interface GateRequest {
  /** Ours, 128 random bits in hex. */
  readonly requestId: string
  readonly method: string
  /** Path and query, base path included, as they were sent: what `segments` and `search` were read from. */
  readonly target: string
  /** Decoded, below the base path; null: undecodable, or not below it. */
  readonly segments: readonly string[] | null
  readonly search: string
  readonly rawHeaders: RawHeaders
  readonly headers: HeaderFields
  /** Request line and header fields as they travelled, about. */
  readonly headBytes: number
  readonly readBody: SentRequest['readBody']
  readonly client: ClientAddress | null
}

export interface GateRequestOptions {
  readonly basePath: string
  readonly findClientAddress: FindClientAddress
  readonly randomBytes: RandomBytes
}

const REQUEST_ID_BYTES = 16

export function createGateRequestReader(options: GateRequestOptions): (sent: SentRequest) => GateRequest {
  const { findClientAddress, randomBytes } = options
  const baseSegments = parseSegments(options.basePath) ?? []

  return function readGateRequest({ method, target, rawHeaders, readConnection, readBody }) {
    const { pathname, search } = parseTarget(target)
    return {
      requestId: buildRequestId(randomBytes),
      method,
      target,
      segments: stripBase(parseSegments(pathname), baseSegments),
      search,
      rawHeaders,
      headers: createHeaderFields(rawHeaders),
      headBytes: measureHead(target, rawHeaders),
      readBody,
      client: findClientAddress(readConnection(), rawHeaders),
    }
  }
}

function stripBase(
  segments: readonly string[] | null,
  baseSegments: readonly string[],
): readonly string[] | null {
  if (baseSegments.length === 0) return segments
  if (segments === null || baseSegments.some((segment, index) => segments[index] !== segment)) return null
  return segments.slice(baseSegments.length)
}

/** `name: value\r\n` each. */
function measureHead(target: string, rawHeaders: RawHeaders): number {
  let bytes = target.length
  for (const [name, value] of rawHeaders) bytes += name.length + value.length + 4
  return bytes
}

export function buildRequestId(randomBytes: RandomBytes): string {
  return formatHex(randomBytes(REQUEST_ID_BYTES))
}
