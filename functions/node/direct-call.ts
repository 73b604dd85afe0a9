/**
 * Requests without a body over Node's server, without a Request and a Response of the Web for each: they cost more than the
 * gate. Takes only what plainly has none; whatever else comes is the app's, which asks the same gate.
 */

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Gate } from '../../src/gateway.ts'
import { readOriginForm } from '../../src/request-target.ts'
import type { ReadIncoming } from './request-reader.ts'
import type { TakeRequest } from './short-post.ts'
import { writeAnswer, type ClientPace } from './write-answer.ts'

export interface DirectCallOptions {
  readonly gate: Gate
  readonly readIncoming: ReadIncoming
  readonly pace: ClientPace
}

export function createDirectCall(options: DirectCallOptions): TakeRequest {
  const { gate, readIncoming, pace } = options
  return function takeDirectly(incoming, outgoing) {
    if (incoming.method !== 'GET' || !isPlain(incoming.rawHeaders)) return false
    void answer(incoming, outgoing)
    return true
  }

  async function answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const target = readOriginForm(incoming.url ?? '/')
    const found = await gate(readIncoming(incoming, target, readNoBody))
    await writeAnswer(found, outgoing, pace)
  }
}

const readNoBody = (): null => null

/** RFC 9112 section 6: a body is announced by one of these. A host name that is none is the app's to refuse. */
function isPlain(rawHeaders: readonly string[]): boolean {
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    if (!NAME_LENGTHS.has(name.length)) continue
    const lowerName = name.toLowerCase()
    if (lowerName === 'content-length' || lowerName === 'transfer-encoding') return false
    if (lowerName === 'host' && !PLAIN_HOST.test(rawHeaders[index + 1] ?? '')) return false
  }
  return true
}

const NAME_LENGTHS: ReadonlySet<number> = new Set(
  ['content-length', 'transfer-encoding', 'host'].map((name) => name.length),
)
/** One that @hono/node-server takes too; with a port above 59999 it is left to that. */
const PLAIN_HOST = /^[A-Za-z0-9._-]+(:[1-9]\d{0,3}|:[1-5]\d{4})?$/
