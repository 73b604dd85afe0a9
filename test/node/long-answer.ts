/** A long answer of slurmrestd's, made piece by piece at the pace it is taken, and what tells that a client got all of it. */

import { createHash, randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'

const MIB = 1024 * 1024
const PIECES = 200

/** "A 200 MB answer", and a little more. */
export const LONG_BYTES = PIECES * MIB

/** How the end of an answer is told. */
export type Framing = 'length' | 'chunked'

const FRAMING_HEADERS: Readonly<Record<Framing, string>> = {
  length: `Content-Length: ${String(LONG_BYTES)}`,
  chunked: 'Transfer-Encoding: chunked',
}

const block = randomBytes(MIB)

/** No two are alike, so that one that is lost, doubled or out of its place changes the digest. */
function buildPiece(index: number): Buffer {
  const piece = Buffer.from(block)
  piece.writeUInt32BE(index)
  return piece
}

/** SHA-256 of a long answer, hex. */
export function findLongDigest(): string {
  const hash = createHash('sha256')
  for (let index = 0; index < PIECES; index += 1) hash.update(buildPiece(index))
  return hash.digest('hex')
}

/** How much of a long answer the kernel has taken over. */
export interface Progress {
  written: number
}

/** Writes one. Ends with it, or with its connection. */
export async function writeLongAnswer(socket: Socket, framing: Framing, progress: Progress): Promise<void> {
  socket.write(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n${FRAMING_HEADERS[framing]}\r\n\r\n`)
  for (let index = 0; index < PIECES && !socket.destroyed; index += 1) {
    const piece = buildPiece(index)
    if (framing === 'chunked') socket.write(`${MIB.toString(16)}\r\n`)
    if (!socket.write(piece)) await waitForRoom(socket)
    if (framing === 'chunked') socket.write('\r\n')
    progress.written += piece.length
  }
  if (framing === 'chunked') socket.write('0\r\n\r\n')
}

function waitForRoom(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const goOn = (): void => {
      socket.off('drain', goOn).off('close', goOn)
      resolve()
    }
    socket.on('drain', goOn).on('close', goOn)
  })
}
