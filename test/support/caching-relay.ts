/**
 * A relay in front of Postgres that keeps answers, as Hyperdrive's read cache does: one for all connections, by statement
 * and parameters, for good. Fake, because the real one runs on Cloudflare's network only.
 */

import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** `documented`: nothing with a function that is volatile or stable (Hyperdrive, "Query caching"). `reads`: every select. */
export type Keeps = 'documented' | 'reads'

const VOLATILE_OR_STABLE = /\b(?:now|clock_timestamp|random|lastval|timeofday|txid_current)\(|\bcurrent_\w+/i

/** Of the answers to a Bind and its Execute: BindComplete, DataRow, CommandComplete. */
const KEPT_ANSWERS = ['2', 'D', 'C']

/** What the server's answers until its next ReadyForQuery are. */
interface Exchange {
  readonly key: string | null
  /** From the cache; null: from the server. */
  readonly kept: Buffer | null
  readonly told: Buffer[]
}

const PLAIN: Exchange = { key: null, kept: null, told: [] }

export class CachingRelay {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #answers = new Map<string, Buffer>()
  readonly #keeps: Keeps
  #hits = 0

  private constructor(to: URL, keeps: Keeps) {
    this.#keeps = keeps
    this.#server = createServer((client) => {
      this.#accept(client, connect({ host: to.hostname, port: Number(to.port) }))
    })
  }

  static async start(databaseUrl: string, keeps: Keeps): Promise<CachingRelay> {
    const relay = new CachingRelay(new URL(databaseUrl), keeps)
    await new Promise<void>((resolve) => relay.#server.listen(0, '127.0.0.1', resolve))
    return relay
  }

  /** `databaseUrl` through the relay. */
  findUrl(databaseUrl: string): string {
    const url = new URL(databaseUrl)
    url.port = String((this.#server.address() as AddressInfo).port)
    return url.href
  }

  /** Answers that came out of the cache. */
  get hits(): number {
    return this.#hits
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
    const statements = new Map<string, string>()
    const exchanges: Exchange[] = []
    let asked = PLAIN
    const onAsked = (type: string, message: Buffer): void => {
      if (type === 'P') {
        const [name = '', statement = ''] = readStrings(message)
        statements.set(name, statement)
      }
      if (type === 'B') asked = this.#ask(statements.get(readStrings(message)[1] ?? '') ?? '', message)
      if (asked.kept !== null && (type === 'B' || type === 'E')) return
      if (type === 'S' || type === 'Q') {
        exchanges.push(asked)
        asked = PLAIN
      }
      server.write(message)
    }
    const onTold = (type: string, message: Buffer): void => {
      const [current = PLAIN] = exchanges
      if (current.key !== null && KEPT_ANSWERS.includes(type)) current.told.push(message)
      if (type === 'Z') {
        exchanges.shift()
        if (current.kept !== null) client.write(current.kept)
        else if (current.key !== null && current.told.length > 1)
          this.#answers.set(current.key, Buffer.concat(current.told))
      }
      client.write(message)
    }
    client.on('data', splitMessages(onAsked, true))
    server.on('data', splitMessages(onTold, false))
  }

  #ask(statement: string, bind: Buffer): Exchange {
    const isKept =
      /^\s*select\b/i.test(statement) && (this.#keeps === 'reads' || !VOLATILE_OR_STABLE.test(statement))
    if (!isKept) return PLAIN
    // The portal's and the statement's names belong to the connection.
    const names = readStrings(bind).slice(0, 2).join('').length + 2
    const key = statement + bind.subarray(5 + names).toString('latin1')
    const kept = this.#answers.get(key) ?? null
    if (kept !== null) this.#hits += 1
    return { key, kept, told: [] }
  }
}

/** PostgreSQL documentation, "Message Formats": a type, a length that counts itself, the rest; a start-up has no type. */
function splitMessages(onMessage: (type: string, message: Buffer) => void, hasStartUp: boolean) {
  let rest = Buffer.alloc(0)
  let isTyped = !hasStartUp
  return (bytes: Buffer): void => {
    rest = Buffer.concat([rest, bytes])
    for (;;) {
      const start = isTyped ? 1 : 0
      if (rest.length < start + 4) return
      const end = start + rest.readUInt32BE(start)
      if (rest.length < end) return
      const message = rest.subarray(0, end)
      const type = isTyped ? String.fromCharCode(rest.readUInt8(0)) : ''
      rest = rest.subarray(end)
      isTyped = true
      onMessage(type, message)
    }
  }
}

/** The strings at a message's beginning; what follows them is cut at its zeros too. */
function readStrings(message: Buffer): string[] {
  return message.subarray(5).toString('latin1').split('\0')
}
