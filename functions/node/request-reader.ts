/** What @hono/node-server knows of a request beyond the Web's Request: raw headers and the socket's peer. */

import type { HttpBindings } from '@hono/node-server'
import type { Context } from 'hono'
import type { RequestReader } from '../../src/gate-request.ts'
import type { Clock, RawHeaders } from '../../src/ports.ts'
import { createHostAddresses } from './host-addresses.ts'
import { readSentTarget } from './sent-target.ts'

export function createNodeRequestReader(now: Clock): RequestReader {
  const hostAddresses = createHostAddresses(now)
  return {
    readRawHeaders: (context) => pairHeaders(readBindings(context).incoming.rawHeaders),
    readTarget: (context) => readSentTarget(readBindings(context).incoming),
    readConnection: (context) => ({
      peerAddress: readBindings(context).incoming.socket.remoteAddress ?? null,
      isEdge: false,
      hostAddresses,
    }),
  }
}

function readBindings(context: Context): HttpBindings {
  return context.env as HttpBindings
}

/** node:http gives names and values in turn; `headers` would have dropped the repeated ones. */
function pairHeaders(flat: readonly string[]): RawHeaders {
  const pairs: [string, string][] = []
  for (let index = 0; index + 1 < flat.length; index += 2)
    pairs.push([flat[index] ?? '', flat[index + 1] ?? ''])
  return pairs
}
