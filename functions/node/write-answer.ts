/**
 * Writes an answer to a client of Node's server, at the client's pace. A body that fails midway breaks the connection:
 * a truncated answer must never look whole, and no error text may follow what was sent.
 */

import type { ServerResponse } from 'node:http'
import type { GateAnswer, HeaderField } from '../../src/gate-answer.ts'
import { ANSWER_TIME_LIMITS, CLIENT_STALL_MILLISECONDS } from '../../src/limits.ts'
import { breakOff } from './break-off.ts'

/** Up to here head and body go out as one string: a write less. Each byte is a character of Latin-1, whatever the text is. */
const ONE_STRING_BYTES = 16 * 1024

/** Up to here an answer is one write: the kernel takes that much without the client. */
const ONE_WRITE_BYTES = 64 * 1024

/** What a client has to keep to, or it is cut off. */
export interface ClientPace {
  /** It takes nothing for so long at the most. */
  readonly stallMilliseconds: number
  /** It has taken an answer that is held for it after so long. A stream's end is its source's business. */
  readonly wholeMilliseconds: number
}

/** @param timeoutMilliseconds what slurmrestd has for an answer; a client has as long as if it streamed. */
export function buildClientPace(stallMilliseconds: number, timeoutMilliseconds: number): ClientPace {
  return { stallMilliseconds, wholeMilliseconds: ANSWER_TIME_LIMITS * timeoutMilliseconds }
}

const USUAL_PACE = buildClientPace(CLIENT_STALL_MILLISECONDS, 60_000)

/** Never throws. Cancels the body when the client has gone. */
export async function writeAnswer(
  answer: GateAnswer,
  outgoing: ServerResponse,
  pace = USUAL_PACE,
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
    else if (body instanceof ReadableStream) await writeStream(body, outgoing, pace.stallMilliseconds)
    else if (body.length <= ONE_STRING_BYTES) outgoing.end(readLatin1(body), 'latin1')
    else if (body.length <= ONE_WRITE_BYTES) outgoing.end(body)
    else await writeBytes(body, outgoing, pace)
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
  { stallMilliseconds, wholeMilliseconds }: ClientPace,
): Promise<void> {
  const until = performance.now() + wholeMilliseconds
  for (let offset = 0; offset < bytes.length && !outgoing.destroyed; offset += ONE_WRITE_BYTES) {
    const piece = bytes.subarray(offset, offset + ONE_WRITE_BYTES)
    if (!outgoing.write(piece)) await drain(outgoing, Math.min(stallMilliseconds, until - performance.now()))
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

/** Until the client takes more, or has gone. @throws where it does neither for so long. */
function drain(outgoing: ServerResponse, milliseconds: number): Promise<void> {
  if (outgoing.destroyed) return Promise.resolve()
  return new Promise((resolve, reject) => {
    const end = (): void => {
      clearTimeout(timer)
      outgoing.off('drain', onGoOn).off('close', onGoOn)
    }
    const onGoOn = (): void => {
      end()
      resolve()
    }
    const timer = setTimeout(() => {
      end()
      reject(new Error('the client takes too little'))
    }, milliseconds)
    outgoing.on('drain', onGoOn).on('close', onGoOn)
  })
}

/** Name and value each. The Web's Headers join repeated names with a comma, all but Set-Cookie. */
export function readResponse({ status, headers, body }: Response): GateAnswer {
  return { status, headers: [...headers], body }
}
