/** Ends a connection so that what was sent on it does not look whole, and nothing of it is kept for the client. */

import type { Socket } from 'node:net'

/**
 * With a reset: to an HTTP/1.0 client a plain close would be the regular end of an answer without a length. TLS tells
 * by the missing close_notify, and a unix socket has no reset.
 */
export function breakOff(socket: Socket): void {
  try {
    socket.resetAndDestroy()
  } catch {
    socket.destroy()
  }
}
