/** Between the gateway and slurmrestd: counts the requests that pass, whatever the gateway says of them. */

import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

export class CountingRelay {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #requests = 0

  private constructor(toPort: number) {
    this.#server = createServer((downstream) => {
      const upstream = connect({ host: '127.0.0.1', port: toPort, noDelay: true })
      downstream.setNoDelay(true)
      // Without a body and without pipelining each write of the gateway's is one request.
      downstream.on('data', (bytes: Buffer) => {
        if (bytes.toString('latin1', 0, 4) === 'GET ') this.#requests += 1
      })
      downstream.pipe(upstream)
      upstream.pipe(downstream)
      for (const socket of [downstream, upstream]) {
        this.#sockets.add(socket)
        socket.on('error', () => socket.destroy())
        socket.on('close', () => {
          this.#sockets.delete(socket)
          downstream.destroy()
          upstream.destroy()
        })
      }
    })
  }

  static async start(toPort: number): Promise<CountingRelay> {
    const relay = new CountingRelay(toPort)
    await new Promise<void>((resolve, reject) => {
      relay.#server.once('error', reject).listen(0, '127.0.0.1', resolve)
    })
    return relay
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Since the last time it was asked. */
  takeCount(): number {
    const count = this.#requests
    this.#requests = 0
    return count
  }

  stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }
}
