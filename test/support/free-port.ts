/**
 * A port for a server that a test starts. Each worker of vitest has ports of its own, below those that the kernel gives to
 * whoever asks for any (32,768 and up on Linux): a server that is away for a moment finds its port free when it comes back.
 */

import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

const FIRST_PORT = 12_000
const PORTS_OF_WORKER = 1_000
const WORKERS_MAX = 20

/** 1 and up, no two at once of one number; 0: no worker of vitest. */
const worker = Number(process.env['VITEST_POOL_ID'] ?? 0) % WORKERS_MAX
let handedOut = randomInt(PORTS_OF_WORKER)

/** A port of 127.0.0.1 nobody listens on at this moment, and that was not handed out lately. */
export async function findFreePort(): Promise<number> {
  for (let attempt = 0; attempt < PORTS_OF_WORKER; attempt += 1) {
    handedOut += 1
    const port = FIRST_PORT + worker * PORTS_OF_WORKER + (handedOut % PORTS_OF_WORKER)
    if (await isFree(port)) return port
  }
  throw new Error('no free port')
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
}
