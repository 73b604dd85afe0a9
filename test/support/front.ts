/** What a proxy in front of replicas does for a rotation: one address, behind which processes take each other's place. */

import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

export class Front {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #target: number

  private constructor(target: number) {
    this.#target = target
    this.#server = createServer({ allowHalfOpen: true }, (downstream) => {
      const upstream = connect({ host: '127.0.0.1', port: this.#target, allowHalfOpen: true })
      for (const [from, to] of [
        [downstream, upstream],
        [upstream, downstream],
      ] as const) {
        this.#sockets.add(from)
        from.setNoDelay(true)
        from.pipe(to)
        from.on('error', () => to.destroy())
        from.on('close', () => this.#sockets.delete(from))
      }
    })
  }

  static async start(target: number): Promise<Front> {
    const front = new Front(target)
    await new Promise<void>((resolve) => front.#server.listen(0, '127.0.0.1', resolve))
    return front
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** For connections from now on; those that are open stay where they are. */
  pointTo(target: number): void {
    this.#target = target
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
