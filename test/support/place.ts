/** An address behind which processes take each other's place, as behind an operator's proxy. */

import { Front } from './front.ts'

export interface Placed {
  readonly port: number
  stop(): Promise<void>
}

export class Place {
  #front: Front | null = null
  #holder: Placed | null = null

  /** Of the place, whoever holds it. */
  get port(): number {
    if (this.#front === null) throw new Error('nobody holds this place yet')
    return this.#front.port
  }

  /** The new one first, then new connections go to it, then the old one answers what it has and ends. */
  async replace(start: () => Promise<Placed>): Promise<void> {
    const [old, next] = [this.#holder, await start()]
    this.#holder = next
    if (this.#front === null) this.#front = await Front.start(next.port)
    else this.#front.pointTo(next.port)
    await old?.stop()
  }

  async stop(): Promise<void> {
    await this.#holder?.stop()
    await this.#front?.stop()
  }
}
