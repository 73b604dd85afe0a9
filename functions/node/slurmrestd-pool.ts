/**
 * slurmrestd over connections of our own, which cope with its habits (doubled error answers, `Connection: Close`). Sends each
 * request once. A free connection is used for the next request; else one is opened, or the request waits for its turn.
 */

import { CLIENT_STALL_MILLISECONDS } from '../../src/limits.ts'
import type { Upstream, UpstreamRequest } from '../../src/ports.ts'
import { Outage } from '../../src/refusal.ts'
import type { SlurmrestdAddress } from '../../src/settings.ts'
import type { AnswerEvents } from './answer-events.ts'
import { AnswerHandler } from './answer-handler.ts'
import { createRequestHeadBuilder } from './request-head.ts'
import { SlurmrestdConnection, type ConnectionOwner, type PreparedRequest } from './slurmrestd-connection.ts'
import { findSlurmrestdDoor, type SlurmrestdDoor } from './slurmrestd-socket.ts'

export interface NodeUpstream extends Upstream {
  /** Cuts what is still running. */
  close(): Promise<void>
}

/** slurmrestd closes idle connections when it likes; ours go first. */
const KEEP_ALIVE_MILLISECONDS = 4_000
/** Who says how long is kept (RFC 2068 section 19.7.1) is left before: a request must not meet the end on its way. */
const KEEP_ALIVE_MARGIN_MILLISECONDS = 2_000
const SWEEP_MILLISECONDS = 500

export function createSlurmrestdUpstream(
  address: SlurmrestdAddress,
  maxConnections: number,
  clientStallMilliseconds = CLIENT_STALL_MILLISECONDS,
): NodeUpstream {
  const door = findSlurmrestdDoor(address)
  const buildHead = createRequestHeadBuilder(door.host, address.kind === 'unix' ? {} : address.serviceHeaders)
  const pool = new SlurmrestdPool(door, maxConnections)
  const dispatch = (request: UpstreamRequest, events: AnswerEvents): void => {
    const { body, timeoutMilliseconds } = request
    try {
      pool.dispatch({ head: buildHead(request), body, silenceMilliseconds: timeoutMilliseconds, events })
    } catch (cause) {
      events.onResponseError(cause instanceof Error ? cause : new Error('no error was thrown'))
    }
  }
  return {
    send: (request) =>
      new Promise((resolve, reject) => {
        dispatch(request, new AnswerHandler(resolve, reject, request, clientStallMilliseconds))
      }),
    close() {
      pool.close()
      return Promise.resolve()
    },
  }
}

class SlurmrestdPool implements ConnectionOwner {
  readonly #door: SlurmrestdDoor
  readonly #maxConnections: number
  readonly #connections = new Set<SlurmrestdConnection>()
  /** Used last, used again first: what is not needed comes to its end. */
  readonly #free: SlurmrestdConnection[] = []
  readonly #waiting: PreparedRequest[] = []
  #sweep: NodeJS.Timeout | null = null
  #isClosed = false

  constructor(door: SlurmrestdDoor, maxConnections: number) {
    this.#door = door
    this.#maxConnections = maxConnections
  }

  dispatch(request: PreparedRequest): void {
    if (this.#isClosed) {
      request.events.onResponseError(ended())
      return
    }
    const connection = this.#findFree()
    if (connection !== null) {
      if (!connection.send(request)) this.#free.push(connection)
    } else if (this.#connections.size < this.#maxConnections) this.#open(request)
    else this.#waiting.push(request)
  }

  /** Fails what is under way and what waits. */
  close(): void {
    this.#isClosed = true
    this.#stopSweep()
    for (const { events } of this.#waiting.splice(0)) events.onResponseError(ended())
    for (const connection of [...this.#connections]) connection.destroy(ended())
  }

  onFree(connection: SlurmrestdConnection, keepAliveSeconds: number | null): void {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      if (connection.send(next)) return
    }
    const theirs =
      keepAliveSeconds === null ? Infinity : keepAliveSeconds * 1000 - KEEP_ALIVE_MARGIN_MILLISECONDS
    if (theirs <= 0) {
      connection.destroy(ended())
      return
    }
    connection.usableUntil = performance.now() + Math.min(KEEP_ALIVE_MILLISECONDS, theirs)
    this.#free.push(connection)
    this.#sweep ??= setInterval(() => this.#dropOld(), SWEEP_MILLISECONDS).unref()
  }

  onGone(connection: SlurmrestdConnection): void {
    this.#connections.delete(connection)
    const index = this.#free.lastIndexOf(connection)
    if (index >= 0) this.#free.splice(index, 1)
    if (this.#isClosed) return
    const next = this.#waiting.shift()
    if (next !== undefined) this.#open(next)
  }

  #open(request: PreparedRequest): void {
    this.#connections.add(new SlurmrestdConnection(this.#door, this, request))
  }

  /** @returns one that is not known to be at its end; null: none. */
  #findFree(): SlurmrestdConnection | null {
    for (let found = this.#free.pop(); found !== undefined; found = this.#free.pop()) {
      if (performance.now() < found.usableUntil) return found
      found.destroy(ended())
    }
    return null
  }

  #dropOld(): void {
    const now = performance.now()
    for (const connection of this.#free.filter(({ usableUntil }) => usableUntil <= now)) {
      connection.destroy(ended())
    }
    if (this.#free.length === 0) this.#stopSweep()
  }

  #stopSweep(): void {
    if (this.#sweep !== null) clearInterval(this.#sweep)
    this.#sweep = null
  }
}

function ended(): Outage {
  return new Outage('upstream_unreachable', 'the connections to slurmrestd are closed')
}
