/**
 * A relay in front of Postgres with the one rule of PgBouncer's transaction pooling that listeners feel: a notification that
 * comes while the client has no statement under way is dropped (PgBouncer, src/server.c). Fake, because it shares no
 * connection among clients.
 */

import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

const NOTIFICATION = 'A'
const READY = 'Z'
const IDLE = 'I'

export class TransactionPooler {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #dropped = 0

  private constructor(to: URL) {
    this.#server = createServer((client) => {
      this.#accept(client, connect({ host: to.hostname, port: Number(to.port) }))
    })
  }

  static async start(databaseUrl: string): Promise<TransactionPooler> {
    const pooler = new TransactionPooler(new URL(databaseUrl))
    await new Promise<void>((resolve) => pooler.#server.listen(0, '127.0.0.1', resolve))
    return pooler
  }

  /** `databaseUrl` through the pooler. */
  findUrl(databaseUrl: string): string {
    const url = new URL(databaseUrl)
    url.port = String((this.#server.address() as AddressInfo).port)
    return url.href
  }

  /** Notifications that went to nobody. */
  get dropped(): number {
    return this.#dropped
  }

  stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    return new Promise((resolve) => {
      this.#server.close(() => {
        resolve()
      })
    })
  }

  #accept(client: Socket, server: Socket): void {
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket)
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
    }
    let isLinked = true
    client.on('data', (bytes) => {
      isLinked = true
      server.write(bytes)
    })
    let rest = Buffer.alloc(0)
    server.on('data', (bytes: Buffer) => {
      rest = Buffer.concat([rest, bytes])
      // PostgreSQL documentation, "Message Formats": a type, a length that counts itself, the rest.
      while (rest.length >= 5 && rest.length >= 1 + rest.readUInt32BE(1)) {
        const message = rest.subarray(0, 1 + rest.readUInt32BE(1))
        rest = rest.subarray(message.length)
        const type = message.toString('latin1', 0, 1)
        if (type === NOTIFICATION && !isLinked) this.#dropped += 1
        else client.write(message)
        if (type === READY && message.toString('latin1', 5) === IDLE) isLinked = false
      }
    })
  }
}
