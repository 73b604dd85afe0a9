/**
 * One connection to slurmrestd: one request at a time, sent once, never before the answer of the last is over. It is used
 * again only after a whole, good answer with nothing behind it; else an answer could meet another user's request.
 */

import type { Socket } from 'node:net'
import { Outage } from '../../src/refusal.ts'
import type { AnswerController, AnswerEvents } from './answer-events.ts'
import { AnswerHead } from './answer-head.ts'
import { ChunkedBody } from './chunked-body.ts'
import type { SlurmrestdDoor } from './slurmrestd-socket.ts'

const CONNECT_TIMEOUT_MILLISECONDS = 5_000
const READ_BYTES = 64 * 1024
/** Up to here head and body are put together into one piece. */
const ONE_PIECE_BYTES = 64 * 1024
const NOTHING = Buffer.alloc(0)

/** A request that is ready to be sent. */
export interface PreparedRequest {
  readonly head: string
  readonly body: Uint8Array | null
  /** Behind the answer's head, and between two pieces of its body. */
  readonly silenceMilliseconds: number
  readonly events: AnswerEvents
}

export interface ConnectionOwner {
  /** It can take a request, for so long at most as the other side says; null: it does not say. */
  onFree(connection: SlurmrestdConnection, keepAliveSeconds: number | null): void
  /** Called once. It takes nothing any more. */
  onGone(connection: SlurmrestdConnection): void
}

type BodyKind = 'none' | 'sized' | 'chunked' | 'closing'

export class SlurmrestdConnection implements AnswerController {
  /** `performance.now()` after which it is not used again: its owner's. */
  usableUntil = 0
  readonly #owner: ConnectionOwner
  readonly #socket: Socket
  readonly #buffer = Buffer.allocUnsafeSlow(READ_BYTES)
  readonly #head = new AnswerHead()
  readonly #chunks = new ChunkedBody()
  #connectTimer: NodeJS.Timeout | undefined
  #isGone = false
  #isPaused = false
  /** Whether silence of the other side is timed. */
  #isTimed = false
  #request: PreparedRequest | null = null
  /** The start of a line whose end has not come. */
  #rest = NOTHING
  /** null: the head has not come yet. */
  #bodyKind: BodyKind | null = null
  #bytesLeft = 0

  /** Sends `request` once it is connected. */
  constructor(door: SlurmrestdDoor, owner: ConnectionOwner, request: PreparedRequest) {
    this.#owner = owner
    this.#request = request
    this.#socket = door.open({ buffer: this.#buffer, callback: (length) => this.#read(length) })
    this.#socket.once(door.readyEvent, () => this.#becomeReady())
    this.#socket.on('error', (cause) => this.#fail(cause))
    this.#socket.on('end', () => this.#takeEnd())
    this.#socket.on('close', () => this.#fail(new Outage('upstream_unreachable', 'slurmrestd hung up')))
    this.#socket.on('timeout', () =>
      this.#fail(new Outage('upstream_timeout', 'slurmrestd stopped in the middle of an answer')),
    )
    this.#connectTimer = setTimeout(
      () => this.#fail(new Outage('upstream_unreachable', 'slurmrestd cannot be reached (connect timeout)')),
      CONNECT_TIMEOUT_MILLISECONDS,
    )
  }

  /** Only while it is free. @returns false: nobody wants it sent any more, and it was not. */
  send(request: PreparedRequest): boolean {
    if (!request.events.onRequestStart(this)) return false
    this.#request = request
    this.#bodyKind = null
    this.#head.reset()
    this.#write(request)
    return true
  }

  pause(): void {
    this.#isPaused = true
    this.#socket.pause()
    // Whether the other side is silent cannot be known meanwhile.
    this.#stopTiming()
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#socket.resume()
    this.#startTiming()
  }

  abort(): void {
    this.#request = null
    this.#drop()
  }

  /** For good. What is under way fails. */
  destroy(cause: Error): void {
    this.#fail(cause)
  }

  #becomeReady(): void {
    clearTimeout(this.#connectTimer)
    const request = this.#request
    this.#request = null
    if (request === null || !this.send(request)) this.#owner.onFree(this, null)
  }

  /** slurmrestd fails on a head that comes in several reads (measured): it goes out at once, a small body with it. */
  #write({ head, body }: PreparedRequest): void {
    const socket = this.#socket
    if (body === null || body.length === 0) {
      socket.write(head, 'latin1')
    } else if (body.length <= ONE_PIECE_BYTES) {
      const piece = Buffer.allocUnsafe(head.length + body.length)
      piece.write(head, 'latin1')
      piece.set(body, head.length)
      socket.write(piece)
    } else {
      socket.cork()
      socket.write(head, 'latin1')
      socket.write(body)
      socket.uncork()
    }
  }

  /** @returns whether to go on reading. */
  #read(length: number): boolean {
    try {
      if (this.#request === null) this.#drop()
      else if (this.#rest.length === 0) this.#take(this.#request, this.#buffer, length)
      else {
        const bytes = Buffer.concat([this.#rest, this.#buffer.subarray(0, length)])
        this.#rest = NOTHING
        this.#take(this.#request, bytes, bytes.length)
      }
    } catch (cause) {
      this.#fail(cause instanceof Error ? cause : new Error('no error was thrown'))
    }
    return !this.#isGone && !this.#isPaused
  }

  #take(request: PreparedRequest, bytes: Buffer, end: number): void {
    let at = 0
    if (this.#bodyKind === null) {
      at = this.#head.read(bytes, 0, end)
      if (!this.#head.isWhole) {
        this.#rest = Buffer.from(bytes.subarray(at, end))
        return
      }
      this.#startBody()
      request.events.onResponseStart(this.#head)
    }
    at = this.#takeBody(request.events, bytes, at, end)
    if (this.#request !== request) return
    if (this.#isBodyOver()) this.#finish(request, at === end)
    else if (!this.#isTimed && !this.#isPaused) this.#startTiming()
  }

  #startBody(): void {
    const { hasNoBody, isChunked, contentLength } = this.#head
    this.#bytesLeft = contentLength ?? 0
    this.#chunks.reset()
    this.#bodyKind = hasNoBody ? 'none' : isChunked ? 'chunked' : contentLength === null ? 'closing' : 'sized'
  }

  /** @returns behind the last byte that is the body's. */
  #takeBody(events: AnswerEvents, bytes: Buffer, start: number, end: number): number {
    if (start === end || this.#request === null) return start
    switch (this.#bodyKind) {
      case 'sized': {
        const pieceEnd = Math.min(end, start + this.#bytesLeft)
        this.#bytesLeft -= pieceEnd - start
        if (pieceEnd > start) events.onResponseData(bytes.subarray(start, pieceEnd))
        return pieceEnd
      }
      case 'chunked':
        return this.#chunks.read(bytes, start, end, (piece) => {
          events.onResponseData(piece)
          return this.#request !== null
        })
      case 'closing':
        events.onResponseData(bytes.subarray(start, end))
        return end
      case 'none':
      case null:
        return start
    }
  }

  #isBodyOver(): boolean {
    if (this.#bodyKind === 'sized') return this.#bytesLeft === 0
    return this.#bodyKind === 'chunked' ? this.#chunks.isOver : this.#bodyKind === 'none'
  }

  /** @param isClean nothing came behind the answer. A request that is not sent whole would go on before the next one. */
  #finish({ events }: PreparedRequest, isClean: boolean): void {
    this.#request = null
    const { status, isClosing, keepAliveSeconds } = this.#head
    if (isClean && !isClosing && status < 400 && this.#socket.writableLength === 0) {
      this.#stopTiming()
      if (this.#isPaused) {
        this.#isPaused = false
        this.#socket.resume()
      }
      this.#owner.onFree(this, keepAliveSeconds)
    } else this.#drop()
    events.onResponseEnd()
  }

  /** The other side sends nothing any more: which is an answer's end only where no other was given. */
  #takeEnd(): void {
    const request = this.#request
    if (request !== null && this.#bodyKind === 'closing') {
      this.#request = null
      this.#drop()
      request.events.onResponseEnd()
    } else {
      const where = this.#bodyKind === null ? 'without an answer' : 'in the middle of an answer'
      this.#fail(new Outage('upstream_unreachable', `slurmrestd hung up ${where}`))
    }
  }

  #fail(cause: Error): void {
    const request = this.#request
    this.#request = null
    this.#drop()
    request?.events.onResponseError(cause)
  }

  #drop(): void {
    if (this.#isGone) return
    this.#isGone = true
    clearTimeout(this.#connectTimer)
    this.#socket.destroy()
    this.#owner.onGone(this)
  }

  #startTiming(): void {
    const milliseconds = this.#request?.silenceMilliseconds
    if (milliseconds === undefined || this.#isTimed) return
    this.#isTimed = true
    this.#socket.setTimeout(milliseconds)
  }

  #stopTiming(): void {
    if (!this.#isTimed) return
    this.#isTimed = false
    this.#socket.setTimeout(0)
  }
}
