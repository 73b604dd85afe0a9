/** A TCP relay in front of a dependency, so that a case can take the dependency away and give it back. */

import { connect, createServer, type Server, type Socket } from 'node:net'
import { findFreePort } from './free-port.ts'

export class Relay {
  readonly #to: { readonly host: string; readonly port: number }
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #mode: 'open' | 'cut' | 'stalled' = 'open'
  #port = 0

  private constructor(to: { host: string; port: number }) {
    this.#to = to
    this.#server = createServer((downstream) => {
      this.#accept(downstream)
    })
  }

  static async start(to: { host: string; port: number }): Promise<Relay> {
    const relay = new Relay(to)
    relay.#port = await findFreePort()
    await relay.#listen(relay.#port)
    return relay
  }

  get port(): number {
    return this.#port
  }

  /** Connections are refused, open ones are reset: the host answers, the service is gone. */
  async cut(): Promise<void> {
    this.#mode = 'cut'
    await this.#close()
  }

  /** Connections are taken and never answered, open ones fall silent: a hung service. */
  stall(): void {
    this.#mode = 'stalled'
  }

  /** Open again, and what fell silent stays so: nobody tells a client of it. */
  resume(): void {
    for (const socket of this.#sockets) socket.removeAllListeners('data')
    this.#mode = 'open'
  }

  async restore(): Promise<void> {
    if (this.#mode === 'open') return
    const wasCut = this.#mode === 'cut'
    this.#mode = 'open'
    for (const socket of this.#sockets) socket.destroy()
    if (wasCut) await this.#listen(this.#port)
  }

  stop(): Promise<void> {
    return this.#close()
  }

  #accept(downstream: Socket): void {
    const upstream = connect(this.#to)
    for (const [from, to] of [
      [downstream, upstream],
      [upstream, downstream],
    ] as const) {
      this.#sockets.add(from)
      from.setNoDelay(true)
      from.on('data', (bytes) => {
        if (this.#mode === 'open') to.write(bytes)
      })
      from.on('end', () => {
        if (this.#mode === 'open') to.end()
      })
      from.on('error', () => to.destroy())
      from.on('close', () => {
        this.#sockets.delete(from)
        if (this.#mode === 'open') to.destroy()
      })
    }
  }

  #listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, '127.0.0.1', resolve)
    })
  }

  #close(): Promise<void> {
    for (const socket of this.#sockets) socket.resetAndDestroy()
    return new Promise((resolve) => {
      this.#server.close(() => {
        resolve()
      })
    })
  }
}
