/** Finds TCP ports on 127.0.0.1 that nobody listens on, and tells whether somebody does. */
import { connect, createServer } from 'node:net'

/** True when somebody accepts connections on 127.0.0.1:port. */
export function isPortAnswering(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/** True when this process could listen on 127.0.0.1:port. */
export async function isPortFree(port: number): Promise<boolean> {
  return (await listenOnce(port)) !== null
}

/** The preferred port when it is free, else one the kernel picks. Free means free now: nothing is reserved. */
export async function findFreePort(preferred = 0): Promise<number> {
  const port = (await listenOnce(preferred)) ?? (await listenOnce(0))
  if (port === null) throw new Error('no free TCP port on 127.0.0.1')
  return port
}

function listenOnce(port: number): Promise<number | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(null))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : null))
    })
  })
}
