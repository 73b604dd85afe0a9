/**
 * munged's unix socket on Node: one request per connection, sent once. munged knows its caller by SO_PEERCRED, so
 * there is nothing to log in with.
 */

import { connect, type Socket } from 'node:net'
import { HEADER_LENGTH, parseHeader, type MessageType } from '../../src/munge/frame.ts'
import type { MungedSocket } from '../../src/munge/munged-client.ts'
import { Outage } from '../../src/refusal.ts'
import { createTurnstile } from './turnstile.ts'

/** munged gives up on a connection after 2 s itself (measured). */
export const MUNGED_DEADLINE_MILLISECONDS = 2500
/** munged's backlog is 256 (measured); other programs of the host need it too. */
const MAX_IN_FLIGHT = 64
const MAX_WAITING = 1024
/** An answer without a payload has some 80 bytes (measured); longer ones come in pieces. */
const READ_BYTES = 512

export function createMungedSocket(options: {
  path: string
  /** For a whole call, waiting for room included. Default 2,500. */
  deadlineMilliseconds?: number
}): MungedSocket {
  const { path, deadlineMilliseconds = MUNGED_DEADLINE_MILLISECONDS } = options
  const turnstile = createTurnstile({
    maxRunning: MAX_IN_FLIGHT,
    maxWaiting: MAX_WAITING,
    createBusyError: (why) => unavailable(path, why),
  })
  return {
    send(request, expected) {
      const endsAt = performance.now() + deadlineMilliseconds
      const task = (): Promise<Uint8Array> => call(path, request, expected, endsAt - performance.now())
      return turnstile.run(task, deadlineMilliseconds)
    },
  }
}

/** The socket is destroyed on every way out. */
function call(
  path: string,
  request: Uint8Array,
  expected: MessageType,
  leftMilliseconds: number,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const answer = createAnswerBuffer(expected)
    let isOver = false
    const finish = (): void => {
      isOver = true
      clearTimeout(timer)
      socket.destroy()
    }
    const fail = (why: string, cause?: unknown): void => {
      finish()
      reject(cause instanceof Outage ? cause : unavailable(path, why, cause))
    }
    const take = (length: number, buffer: Uint8Array): boolean => {
      if (isOver) return false
      try {
        const body = answer.add(Buffer.from(buffer.subarray(0, length)))
        if (body === null) return true
        finish()
        resolve(body)
      } catch (cause) {
        fail('malformed answer', cause)
      }
      return false
    }
    const timer = setTimeout(() => fail('no whole answer in time'), Math.max(0, leftMilliseconds))
    // A small buffer of our own and no readable stream: a decode costs a fifth less (bench).
    const onread = { buffer: Buffer.allocUnsafe(READ_BYTES), callback: take }
    const socket: Socket = connect({ path, onread })
    socket.on('error', (cause: NodeJS.ErrnoException) => fail(explain(cause), cause))
    socket.on('end', () => fail(`closed after ${answer.length()} bytes without a whole answer`))
    // Goes out when the connection is there.
    socket.write(request)
  })
}

/** Collects an answer; the header is checked, and with it the length bounded, before anything after it is kept. */
function createAnswerBuffer(expected: MessageType): {
  /** @returns the body once it is whole. @throws Outage */
  add(chunk: Buffer): Uint8Array | null
  length(): number
} {
  const chunks: Buffer[] = []
  let length = 0
  let wholeLength: number | null = null
  return {
    length: () => length,
    add(chunk) {
      chunks.push(chunk)
      length += chunk.length
      if (wholeLength === null && length >= HEADER_LENGTH) {
        const header = (chunks.length === 1 ? chunk : Buffer.concat(chunks)).subarray(0, HEADER_LENGTH)
        wholeLength = HEADER_LENGTH + parseHeader(header, expected)
      }
      if (wholeLength === null || length < wholeLength) return null
      if (length > wholeLength) {
        throw new Outage('munged_unavailable', `munged sent ${length - wholeLength} bytes after its answer`)
      }
      return (chunks.length === 1 ? chunk : Buffer.concat(chunks)).subarray(HEADER_LENGTH)
    },
  }
}

const EXPLANATIONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such socket; is munged running, and is MUNGE_SOCKET its socket?',
  ECONNREFUSED: 'nobody listens; munged is not running',
  EACCES: 'permission denied; munged lets every user in, so look at the directories above the socket',
  EAGAIN: "munged's backlog is full",
}

function explain(error: NodeJS.ErrnoException): string {
  return EXPLANATIONS[error.code ?? ''] ?? error.message
}

function unavailable(path: string, why: string, cause?: unknown): Outage {
  return new Outage('munged_unavailable', `munged at ${path}: ${why}`, { cause })
}
