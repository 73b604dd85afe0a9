/**
 * Writes a Response to a client of Node's server, at the client's pace. A body that fails midway breaks the connection:
 * a truncated answer must never look whole, and no error text may follow what was sent.
 */

import { once } from 'node:events'
import type { ServerResponse } from 'node:http'

/** Never throws. Cancels the body when the client has gone. */
export async function writeAnswer(response: Response, outgoing: ServerResponse): Promise<void> {
  outgoing.on('error', () => undefined)
  const body: ReadableStream<Uint8Array> | null = response.body
  try {
    outgoing.writeHead(response.status, readHeaders(response.headers))
  } catch {
    outgoing.destroy()
  }
  if (body === null) {
    outgoing.end()
    return
  }
  const reader = body.getReader()
  const cancel = (): void => void reader.cancel().catch(() => undefined)
  if (outgoing.destroyed) {
    cancel()
    return
  }
  outgoing.once('close', cancel)
  try {
    let chunk = await reader.read()
    while (!chunk.done) {
      if (!outgoing.write(chunk.value)) await drain(outgoing)
      chunk = await reader.read()
    }
    outgoing.off('close', cancel)
    outgoing.end()
  } catch {
    breakOff(outgoing)
  }
}

/**
 * With a reset: to an HTTP/1.0 client a plain close would be the regular end of an answer without a length. TLS tells
 * by the missing close_notify, and a unix socket has no reset.
 */
function breakOff(outgoing: ServerResponse): void {
  try {
    outgoing.socket?.resetAndDestroy()
  } catch {
    outgoing.destroy()
  }
}

/** Until the client takes more, or has gone. */
async function drain(outgoing: ServerResponse): Promise<void> {
  if (outgoing.destroyed) return
  const over = new AbortController()
  const options = { signal: over.signal }
  try {
    await Promise.race([once(outgoing, 'drain', options), once(outgoing, 'close', options)])
  } finally {
    over.abort()
  }
}

/** Name, value, name, value. The Web's Headers join repeated names with a comma, all but Set-Cookie. */
function readHeaders(headers: Headers): string[] {
  return [...headers].flat()
}
