/** Reads a request once, before anything is believed: what the stages of the gate work on. */

import type { Context } from 'hono'
import type { Connection, FindClientAddress } from './client-address.ts'
import { parseSegments } from './operation.ts'
import type { ClientAddress, RandomBytes, RawHeaders } from './ports.ts'
import { formatHex } from './hex.ts'
import { parseTarget } from './request-target.ts'

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
  readonly headers: Headers
  /** Request line and header fields as they travelled, about. */
  readonly headBytes: number
  /** To be called once, when a body belongs there: some runtimes make the stream only then. */
  readonly readBody: () => ReadableStream<Uint8Array> | null
  readonly client: ClientAddress | null
}

/** What only the runtime knows of a request. */
export interface RequestReader {
  /** Repeated headers stand repeatedly where the runtime keeps them apart. */
  readRawHeaders(context: Context): RawHeaders
  /** Path and query of the request line, beginning with a slash, as untouched as the runtime shows them. */
  readTarget(context: Context): string
  readConnection(context: Context): Connection
}

export interface GateRequestOptions {
  readonly basePath: string
  readonly reader: RequestReader
  readonly findClientAddress: FindClientAddress
  readonly randomBytes: RandomBytes
}

const REQUEST_ID_BYTES = 16

export function createGateRequestReader(options: GateRequestOptions): (context: Context) => GateRequest {
  const { reader, findClientAddress, randomBytes } = options
  const baseSegments = parseSegments(options.basePath) ?? []

  return function readGateRequest(context) {
    const request = context.req.raw
    const target = reader.readTarget(context)
    const url = parseTarget(target)
    const rawHeaders = reader.readRawHeaders(context)
    return {
      requestId: buildRequestId(randomBytes),
      method: request.method,
      target,
      segments: stripBase(parseSegments(url.pathname), baseSegments),
      search: url.search,
      rawHeaders,
      headers: request.headers,
      headBytes: measureHead(target, rawHeaders),
      readBody: () => request.body,
      client: findClientAddress(reader.readConnection(context), rawHeaders),
    }
  }
}

function stripBase(
  segments: readonly string[] | null,
  baseSegments: readonly string[],
): readonly string[] | null {
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
