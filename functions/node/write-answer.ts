/**
 * Writes an answer to a client of Node's server, at the client's pace. A body that fails midway breaks the connection:
 * a truncated answer must never look whole, and no error text may follow what was sent.
 */

import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { GateAnswer, HeaderField } from '../../src/gate-answer.ts'
import { CLIENT_STALL_MILLISECONDS } from '../../src/limits.ts'
import { breakOff } from './break-off.ts'

/** Up to here head and body go out as one string: a write less. Each byte is a character of Latin-1, whatever the text is. */
const ONE_STRING_BYTES = 16 * 1024

/** Up to here an answer is one write: the kernel takes that much without the client. */
const ONE_WRITE_BYTES = 64 * 1024

/**
 * Never throws. Cancels the body when the client has gone.
 * @param clientStallMilliseconds a client that takes nothing for so long is cut off.
 */
export async function writeAnswer(
  answer: GateAnswer,
  outgoing: ServerResponse,
  clientStallMilliseconds = CLIENT_STALL_MILLISECONDS,
): Promise<void> {
  outgoing.on('error', ignore)
  const { body } = answer
  try {
    outgoing.writeHead(answer.status, flatten(answer.headers))
  } catch {
    outgoing.destroy()
  }
  try {
    if (body === null) outgoing.end()
    else if (body instanceof ReadableStream) await writeStream(body, outgoing, clientStallMilliseconds)
    else if (body.length <= ONE_STRING_BYTES) outgoing.end(readLatin1(body), 'latin1')
    else if (body.length <= ONE_WRITE_BYTES) outgoing.end(body)
    else await writeBytes(body, outgoing, clientStallMilliseconds)
  } catch {
    if (outgoing.socket === null) outgoing.destroy()
    else breakOff(outgoing.socket)
  } finally {
    answer.onDelivered?.()
  }
}

/** A client that has gone is told nothing. */
function ignore(): void {
  return
}

/** Names and values in turn, as node:http takes them. */
function flatten(headers: readonly HeaderField[]): string[] {
  const flat: string[] = []
  for (const [name, value] of headers) flat.push(name, value)
  return flat
}

function readLatin1({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString('latin1')
}

/** In pieces, so that a client that is slow and one that takes nothing are told apart. */
async function writeBytes(
  bytes: Uint8Array,
  outgoing: ServerResponse,
  stallMilliseconds: number,
): Promise<void> {
  for (let offset = 0; offset < bytes.length && !outgoing.destroyed; offset += ONE_WRITE_BYTES) {
    const piece = bytes.subarray(offset, offset + ONE_WRITE_BYTES)
    if (!outgoing.write(piece)) await drain(outgoing, stallMilliseconds)
  }
  outgoing.end()
}

async function writeStream(
  body: ReadableStream<Uint8Array>,
  outgoing: ServerResponse,
  stallMilliseconds: number,
): Promise<void> {
  const reader = body.getReader()
  const cancel = (): void => void reader.cancel().catch(() => undefined)
  if (outgoing.destroyed) {
    cancel()
    return
  }
  outgoing.once('close', cancel)
  let chunk = await reader.read()
  while (!chunk.done) {
    if (!outgoing.write(chunk.value)) await drain(outgoing, stallMilliseconds)
    chunk = await reader.read()
  }
  outgoing.off('close', cancel)
  outgoing.end()
}

/** Until the client takes more, or has gone. @throws where it does neither for too long. */
async function drain(outgoing: ServerResponse, stallMilliseconds: number): Promise<void> {
  if (outgoing.destroyed) return
  const over = new AbortController()
  const options = { signal: over.signal }
  let timer: NodeJS.Timeout | undefined
  const stall = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('the client takes nothing')), stallMilliseconds)
  })
  try {
    await Promise.race([once(outgoing, 'drain', options), once(outgoing, 'close', options), stall])
  } finally {
    clearTimeout(timer)
    over.abort()
  }
}

/** Name and value each. The Web's Headers join repeated names with a comma, all but Set-Cookie. */
export function readResponse({ status, headers, body }: Response): GateAnswer {
  return { status, headers: [...headers], body }
}
