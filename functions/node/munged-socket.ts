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
const DEADLINE_MILLISECONDS = 2500
/** munged's backlog is 256 (measured); other programs of the host need it too. */
const MAX_IN_FLIGHT = 64
const MAX_WAITING = 1024

export function createMungedSocket(options: {
  path: string
  /** For a whole call, waiting for room included. Default 2,500. */
  deadlineMilliseconds?: number
}): MungedSocket {
  const { path, deadlineMilliseconds = DEADLINE_MILLISECONDS } = options
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
    const socket: Socket = connect({ path })
    const timer = setTimeout(() => fail('no whole answer in time'), Math.max(0, leftMilliseconds))
    const finish = (): void => {
      clearTimeout(timer)
      socket.destroy()
    }
    const fail = (why: string, cause?: unknown): void => {
      finish()
      reject(cause instanceof Outage ? cause : unavailable(path, why, cause))
    }
    socket.on('connect', () => socket.write(request))
    socket.on('data', (chunk: Buffer) => {
      try {
        const body = answer.add(chunk)
        if (body === null) return
        finish()
        resolve(body)
      } catch (cause) {
        fail('malformed answer', cause)
      }
    })
    socket.on('error', (cause: NodeJS.ErrnoException) => fail(explain(cause), cause))
    socket.on('end', () => fail(`closed after ${answer.length()} bytes without a whole answer`))
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
        const header = Buffer.concat(chunks).subarray(0, HEADER_LENGTH)
        wholeLength = HEADER_LENGTH + parseHeader(header, expected)
      }
      if (wholeLength === null || length < wholeLength) return null
      if (length > wholeLength) {
        throw new Outage('munged_unavailable', `munged sent ${length - wholeLength} bytes after its answer`)
      }
      return Buffer.concat(chunks).subarray(HEADER_LENGTH)
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
