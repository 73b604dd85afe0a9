/**
 * Bounds what clients ask for and do not read: requests sent ahead of their answers, and answers that nothing is taken of.
 * Looks at the connections now and then, so that requests cost next to nothing here.
 */

import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import { breakOff } from './break-off.ts'
import type { ServerLimits } from './server-limits.ts'

export interface UnreadAnswers {
  /** To be told of each request first. @returns whether it is to be answered. */
  onRequest(incoming: IncomingMessage, outgoing: ServerResponse): boolean
}

/** How many bytes a connection had taken when it was last seen to take some, or had nothing to take. */
interface Progress {
  takenBytes: number
  at: number
}

const LOOK_MILLISECONDS = 1_000

export function createUnreadAnswers(
  server: Server | HttpsServer,
  { stallMilliseconds, pipelinedMax }: Pick<ServerLimits, 'stallMilliseconds' | 'pipelinedMax'>,
): UnreadAnswers {
  const connections = new Map<Socket, Progress>()
  const isWaitingLineFull = createWaitingLines(pipelinedMax)
  const look = (): void => {
    const now = performance.now()
    for (const [socket, progress] of connections) {
      if (isStalled(socket, progress, now) && now - progress.at >= stallMilliseconds) breakOff(socket)
    }
  }
  let timer: NodeJS.Timeout | undefined
  server.on('listening', () => {
    timer = setInterval(look, Math.min(LOOK_MILLISECONDS, stallMilliseconds / 4)).unref()
  })
  server.on('close', () => clearInterval(timer))
  server.on(server instanceof TlsServer ? 'secureConnection' : 'connection', (socket: Socket) => {
    connections.set(socket, { takenBytes: 0, at: performance.now() })
    socket.once('close', () => connections.delete(socket))
  })
  return {
    onRequest(incoming, outgoing) {
      // node:http gives an answer its socket when those before it are out.
      if (outgoing.socket !== null) return true
      // What one read brought is parsed to its end, whatever becomes of the connection.
      if (incoming.socket.destroyed) return false
      if (!isWaitingLineFull(incoming.socket, outgoing)) return true
      breakOff(incoming.socket)
      return false
    },
  }
}

/** @returns whether one more would be too many; else it waits until it has been sent. */
function createWaitingLines(max: number): (socket: Socket, outgoing: ServerResponse) => boolean {
  const waiting = new WeakMap<Socket, number>()
  const add = (socket: Socket, count: number): void =>
    void waiting.set(socket, (waiting.get(socket) ?? 0) + count)
  return (socket, outgoing) => {
    if ((waiting.get(socket) ?? 0) >= max) return true
    add(socket, 1)
    outgoing.once('close', () => add(socket, -1))
    return false
  }
}

/** Whole writes count: they are 64 KiB at the most, but for the chunks of a stream. */
function isStalled(socket: Socket, progress: Progress, now: number): boolean {
  const takenBytes = socket.bytesWritten - socket.writableLength
  if (socket.writableLength > 0 && takenBytes === progress.takenBytes) return true
  progress.takenBytes = takenBytes
  progress.at = now
  return false
}
