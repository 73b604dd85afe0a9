/**
 * Short questions over Node's server, without a Request and a Response for each: what the verifier spends most of its time
 * on. Takes only what is plainly one; whatever else comes is the app's.
 */

import type { IncomingMessage, ServerResponse } from 'node:http'

export interface ShortAnswer {
  readonly status: number
  readonly text: string
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>
}

/** @returns whether it took the request. */
export type TakeRequest = (incoming: IncomingMessage, outgoing: ServerResponse) => boolean

/**
 * Takes `POST path` with a Content-Length of at most `bodyMaxBytes`.
 * @param answer never throws.
 */
export function createShortPost(parts: {
  path: string
  bodyMaxBytes: number
  answer: (body: string) => Promise<ShortAnswer>
}): TakeRequest {
  const { path, bodyMaxBytes, answer } = parts
  return (incoming, outgoing) => {
    if (incoming.method !== 'POST' || incoming.url !== path) return false
    // Node's own parser has seen to it that it is a number and that the body is no longer.
    const length = Number(incoming.headers['content-length'] ?? Number.NaN)
    if (!(length <= bodyMaxBytes)) return false
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      void answer(Buffer.concat(chunks).toString('utf8')).then((answered) => write(outgoing, answered))
    })
    incoming.on('error', () => undefined)
    outgoing.on('error', () => undefined)
    return true
  }
}

/** A client that has gone is told nothing. */
function write(outgoing: ServerResponse, { status, text, headers = {} }: ShortAnswer): void {
  if (outgoing.destroyed) return
  const own = { 'content-type': 'text/plain; charset=UTF-8', 'content-length': Buffer.byteLength(text) }
  outgoing.writeHead(status, { ...headers, ...own }).end(text)
}
