/** What Node's server knows of a request beyond the Web's Request: raw headers, the target as sent, and the socket's peer. */

import type { IncomingMessage } from 'node:http'
import type { HttpBindings } from '@hono/node-server'
import type { ReadSentRequest, SentRequest } from '../../src/gate-request.ts'
import type { Clock, RawHeaders } from '../../src/ports.ts'
import { createHostAddresses } from './host-addresses.ts'
import { readSentTarget } from './sent-target.ts'

/** Of a request as node:http has it. @param target as it travelled. */
export type ReadIncoming = (
  incoming: IncomingMessage,
  target: string,
  readBody: SentRequest['readBody'],
) => SentRequest

export function createIncomingReader(now: Clock): ReadIncoming {
  const hostAddresses = createHostAddresses(now)
  return function readIncoming(incoming, target, readBody) {
    return {
      method: incoming.method ?? '',
      target,
      rawHeaders: pairHeaders(incoming.rawHeaders),
      readConnection: () => ({
        peerAddress: incoming.socket.remoteAddress ?? null,
        isEdge: false,
        hostAddresses,
      }),
      readBody,
    }
  }
}

/** The same for a request that came through @hono/node-server, which makes the stream of its body. */
export function createNodeRequestReader(readIncoming: ReadIncoming): ReadSentRequest {
  return function readSentRequest({ env, req: { raw } }) {
    const { incoming } = env as HttpBindings
    return readIncoming(incoming, readSentTarget(incoming), () => raw.body)
  }
}

/** node:http gives names and values in turn; `headers` would have dropped the repeated ones. */
function pairHeaders(flat: readonly string[]): RawHeaders {
  const pairs: [string, string][] = []
  for (let index = 0; index + 1 < flat.length; index += 2)
    pairs.push([flat[index] ?? '', flat[index + 1] ?? ''])
  return pairs
}
