/**
 * How an HTTP server ends. It goes on to serve for a moment in which every answer ends its connection: who keeps connections for
 * the next request learns it before one is closed, and sends nothing that is lost. Neither a write nor a MUNGE credential may be
 * sent twice. New connections are taken too: a proxy in front may not know yet.
 */

import type { Server, ServerResponse } from 'node:http'
import type { Server as TlsServer } from 'node:https'

export interface ServerEnd {
  /** To be told of each request before it is answered. */
  onRequest(outgoing: ServerResponse): void
  /** Lets running requests finish for this long in all, then cuts them. */
  stop(graceMilliseconds: number): Promise<void>
}

/** Connections that are in use come by in that time; those that are not are closed afterwards. */
const FAREWELL_MILLISECONDS = 1_000
const SWEEP_MILLISECONDS = 50

export function createServerEnd(server: Server | TlsServer): ServerEnd {
  let isEnding = false
  return {
    onRequest(outgoing) {
      if (isEnding) outgoing.shouldKeepAlive = false
    },
    async stop(graceMilliseconds) {
      isEnding = true
      const timer = setTimeout(() => server.closeAllConnections(), graceMilliseconds)
      await waitUntilAlone(server, Math.min(FAREWELL_MILLISECONDS, graceMilliseconds))
      await close(server)
      clearTimeout(timer)
    },
  }
}

async function waitUntilAlone(server: Server | TlsServer, milliseconds: number): Promise<void> {
  const until = performance.now() + milliseconds
  while (performance.now() < until && (await countConnections(server)) > 0) {
    await new Promise((resolve) => setTimeout(resolve, SWEEP_MILLISECONDS))
  }
}

/** @returns 0 for a server that does not listen. */
function countConnections(server: Server | TlsServer): Promise<number> {
  return new Promise((resolve) => {
    server.getConnections((error, count) => resolve(error === null ? count : 0))
  })
}

function close(server: Server | TlsServer): Promise<void> {
  return new Promise((resolve) => {
    // A connection whose last request ends now would be kept alive for seconds.
    const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MILLISECONDS)
    server.close(() => {
      clearInterval(sweep)
      resolve()
    })
  })
}
