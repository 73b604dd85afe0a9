/**
 * A munged that misbehaves on demand: speaks the protocol on a unix socket of its own. Honest, it obeys
 * `test/munge/munged-contract.ts` like the real daemon. Its bytes are written without the code under test.
 */

import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** What the next connections meet. */
export type Behaviour =
  | { readonly kind: 'honest' }
  /** Reads the request and says nothing. */
  | { readonly kind: 'silent' }
  /** Reads the request and hangs up. */
  | { readonly kind: 'closes' }
  /** An honest answer, cut after so many bytes. */
  | { readonly kind: 'truncated'; readonly length: number; readonly thenCloses: boolean }
  /** An honest answer, one byte at a time. */
  | { readonly kind: 'slow'; readonly millisecondsPerByte: number }
  | { readonly kind: 'raw'; readonly bytes: Uint8Array }
  | { readonly kind: 'error'; readonly errorNumber: number; readonly errorText: string }

interface Made {
  readonly ttlSeconds: number
  readonly encodedAt: number
  readonly restrictedUid: number
  readonly restrictedGid: number
  readonly payload: Buffer
  isUsed: boolean
}

export interface DecodeFields {
  readonly errorNumber?: number
  readonly errorText?: string
  readonly ttlSeconds?: number
  readonly origin?: readonly number[]
  readonly encodedAt?: number
  readonly decodedAt?: number
  readonly uid?: number
  readonly gid?: number
  readonly restrictedUid?: number
  readonly restrictedGid?: number
  readonly payload?: Uint8Array
}

const ANY = 0xffffffff

export class FakeMunged {
  readonly socketPath: string
  readonly #directory: string
  readonly #made = new Map<string, Made>()
  #server: Server | null = null
  #sockets = new Set<Socket>()
  behaviour: Behaviour = { kind: 'honest' }
  /** How many requests were read whole. */
  requests = 0

  constructor() {
    this.#directory = mkdtempSync(join(tmpdir(), 'fake-munged-'))
    this.socketPath = join(this.#directory, 'munge.socket')
  }

  async start(): Promise<void> {
    const server = createServer((socket) => this.#serve(socket))
    this.#server = server
    await new Promise<void>((resolve) => server.listen(this.socketPath, resolve))
  }

  async stop(): Promise<void> {
    const server = this.#server
    if (server === null) return
    this.#server = null
    for (const socket of this.#sockets) socket.destroy()
    await new Promise<void>((resolve) => server.close(() => resolve()))
  }

  async remove(): Promise<void> {
    await this.stop()
    rmSync(this.#directory, { recursive: true, force: true })
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
    socket.on('error', () => undefined)
    let request = Buffer.alloc(0)
    socket.on('data', (chunk) => {
      request = Buffer.concat([request, chunk])
      if (request.length < 11 || request.length < 11 + request.readUInt32BE(7)) return
      this.requests += 1
      this.#answer(socket, request)
    })
  }

  #answer(socket: Socket, request: Buffer): void {
    const { behaviour } = this
    switch (behaviour.kind) {
      case 'silent':
        return
      case 'closes':
        socket.end()
        return
      case 'raw':
        socket.end(behaviour.bytes)
        return
      case 'error':
        socket.end(writeDecodeResponse(behaviour))
        return
      case 'truncated': {
        const part = this.#decide(request).subarray(0, behaviour.length)
        if (behaviour.thenCloses) socket.end(part)
        else socket.write(part)
        return
      }
      case 'slow': {
        const answer = this.#decide(request)
        let sent = 0
        const timer = setInterval(() => {
          if (sent === answer.length || socket.destroyed) clearInterval(timer)
          else socket.write(answer.subarray(sent, (sent += 1)))
        }, behaviour.millisecondsPerByte)
        return
      }
      case 'honest':
        socket.end(this.#decide(request))
    }
  }

  #decide(request: Buffer): Buffer {
    return request[5] === 2 ? this.#encode(request.subarray(11)) : this.#decode(request.subarray(15, -1))
  }

  #encode(body: Buffer): Buffer {
    const asked = body.readUInt32BE(4)
    const bytes = randomBytes(96)
    this.#made.set(bytes.toString('hex'), {
      ttlSeconds: asked === 0 ? 300 : Math.min(asked, 3600),
      encodedAt: Math.floor(Date.now() / 1000),
      restrictedUid: body.readUInt32BE(8),
      restrictedGid: body.readUInt32BE(12),
      payload: body.subarray(20),
      isUsed: false,
    })
    const text = Buffer.from(`MUNGE:${bytes.toString('base64')}:\0`)
    return writeFrame(3, Buffer.concat([Buffer.of(0, 0), writeUint32(text.length), text]))
  }

  #decode(credential: Buffer): Buffer {
    const text = credential.toString('latin1')
    const made = this.#made.get(Buffer.from(text.slice(6, -1), 'base64').toString('hex'))
    if (!text.startsWith('MUNGE:') || made === undefined) {
      return writeDecodeResponse({ errorNumber: 14, errorText: 'Invalid credential' })
    }
    const ownUid = process.getuid?.() ?? 0
    if (made.restrictedUid !== ANY && made.restrictedUid !== ownUid) {
      return writeDecodeResponse({ errorNumber: 18, errorText: 'Unauthorized credential' })
    }
    const decodedAt = Math.floor(Date.now() / 1000)
    const isExpired = decodedAt > made.encodedAt + made.ttlSeconds
    const error = isExpired ? EXPIRED : made.isUsed ? REPLAYED : {}
    made.isUsed = true
    return writeDecodeResponse({ ...made, decodedAt, uid: ownUid, gid: process.getgid?.() ?? 0, ...error })
  }
}

const EXPIRED = { errorNumber: 15, errorText: 'Expired credential' }
const REPLAYED = { errorNumber: 17, errorText: 'Replayed credential' }

/** A decode response as munged 0.5.15 sends it (measured). */
export function writeDecodeResponse(fields: DecodeFields): Buffer {
  const now = Math.floor(Date.now() / 1000)
  const text = fields.errorText === undefined ? Buffer.alloc(0) : Buffer.from(`${fields.errorText}\0`)
  const origin = fields.origin ?? [127, 0, 0, 1]
  const payload = Buffer.from(fields.payload ?? [])
  return writeFrame(
    5,
    Buffer.concat([
      Buffer.of(fields.errorNumber ?? 0, text.length),
      text,
      Buffer.of(4, 5, 0, 0),
      writeUint32(fields.ttlSeconds ?? 5),
      Buffer.of(origin.length, ...origin),
      writeUint32(fields.encodedAt ?? now),
      writeUint32(fields.decodedAt ?? now),
      writeUint32(fields.uid ?? 1234),
      writeUint32(fields.gid ?? 1234),
      writeUint32(fields.restrictedUid ?? ANY),
      writeUint32(fields.restrictedGid ?? ANY),
      writeUint32(payload.length),
      payload,
    ]),
  )
}

export function writeFrame(type: number, body: Buffer): Buffer {
  return Buffer.concat([writeUint32(0x00606d4b), Buffer.of(4, type, 0), writeUint32(body.length), body])
}

function writeUint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
