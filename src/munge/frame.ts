/**
 * The messages on munged's socket, as bytes: builds requests and parses answers, does no I/O. Written from the
 * protocol's measured layout; whatever does not fit it exactly is munged not answering, never a verdict.
 */

import { Outage } from '../refusal.ts'
import { ByteReader, FrameError } from './byte-reader.ts'

export const HEADER_LENGTH = 11
export const MESSAGE = { encodeRequest: 2, encodeResponse: 3, decodeRequest: 4, decodeResponse: 5 } as const
export type MessageType = (typeof MESSAGE)[keyof typeof MESSAGE]

/** munged's payload limit of 1 MiB plus the widest other fields (553 bytes), rounded up. */
export const BODY_MAX_BYTES = 1024 * 1024 + 1024

const MAGIC = 0x00606d4b
const VERSION = 4
/** Restriction to a user or group: this value means "any". */
const ANYBODY = 0xffffffff

/** What munged says about one credential. Everything after `errorNumber` is filled in for some refusals too. */
export interface DecodeAnswer {
  /** 0: accepted. To be read before anything else. */
  readonly errorNumber: number
  readonly errorText: string
  readonly ttlSeconds: number
  /** IPv4, dotted; null where munged gives none. */
  readonly originAddress: string | null
  /** Unix seconds by the clock of the host that made the credential. */
  readonly encodedAt: number
  /** Unix seconds by munged's own clock. */
  readonly decodedAt: number
  readonly uid: number
  readonly gid: number
  /** The only uid and gid that may decode it; null: any. */
  readonly restrictedUid: number | null
  readonly restrictedGid: number | null
  /** What its maker put inside; up to 1 MiB of untrusted bytes. */
  readonly payload: Uint8Array
}

/** munged's answer to a request for a new credential. */
export interface EncodeAnswer {
  readonly errorNumber: number
  readonly errorText: string
  readonly credential: string
}

export interface EncodeOptions {
  /** Seconds; 0 is munged's default (300), 0xffffffff its maximum. */
  readonly ttlSeconds: number
  readonly restrictedUid?: number
  readonly restrictedGid?: number
  /** 0: none, 1: munged's default, 2: bzip2, 3: zlib. */
  readonly compression?: number
  readonly payload?: Uint8Array
}

/** @param credential ASCII. */
export function buildDecodeRequest(credential: string): Uint8Array<ArrayBuffer> {
  const length = credential.length + 1
  const { frame, view } = startFrame(MESSAGE.decodeRequest, 4 + length)
  view.setUint32(HEADER_LENGTH, length)
  for (let index = 0; index < credential.length; index += 1) {
    frame[HEADER_LENGTH + 4 + index] = credential.charCodeAt(index)
  }
  return frame
}

export function buildEncodeRequest(options: EncodeOptions): Uint8Array<ArrayBuffer> {
  const payload = options.payload ?? new Uint8Array()
  const cipherMacZipRealmLength = Uint8Array.of(1, 1, options.compression ?? 1, 0)
  const body = concatenate([
    cipherMacZipRealmLength,
    uint32(options.ttlSeconds),
    uint32(options.restrictedUid ?? ANYBODY),
    uint32(options.restrictedGid ?? ANYBODY),
    uint32(payload.length),
    payload,
  ])
  return buildFrame(MESSAGE.encodeRequest, body)
}

/**
 * @param header the first 11 bytes of an answer.
 * @returns the length of the body that follows, at most BODY_MAX_BYTES.
 * @throws Outage `munged_unavailable`
 */
export function parseHeader(header: Uint8Array, expected: MessageType): number {
  return parseStrictly('header', header, (reader) => {
    if (reader.readUint32() !== MAGIC) throw new FrameError('not the magic number')
    if (reader.readByte() !== VERSION) throw new FrameError(`not protocol version ${VERSION}`)
    if (reader.readByte() !== expected) throw new FrameError(`not a message of type ${expected}`)
    if (reader.readByte() !== 0) throw new FrameError('a retry count other than 0')
    const bodyLength = reader.readUint32()
    if (bodyLength > BODY_MAX_BYTES) throw new FrameError(`a body of ${bodyLength} bytes`)
    return bodyLength
  })
}

/** @throws Outage `munged_unavailable` */
export function parseDecodeResponse(body: Uint8Array): DecodeAnswer {
  return parseStrictly('decode response', body, (reader) => {
    const errorNumber = reader.readByte()
    const errorText = readText(reader, reader.readByte())
    reader.readBytes(3) // cipher, MAC, compression: munged's business
    reader.readBytes(reader.readByte()) // realm: reserved, unused
    return {
      errorNumber,
      errorText,
      ttlSeconds: reader.readUint32(),
      originAddress: readAddress(reader),
      encodedAt: reader.readUint32(),
      decodedAt: reader.readUint32(),
      uid: reader.readUint32(),
      gid: reader.readUint32(),
      restrictedUid: readRestriction(reader),
      restrictedGid: readRestriction(reader),
      payload: reader.readBytes(reader.readUint32()),
    }
  })
}

/** @throws Outage `munged_unavailable` */
export function parseEncodeResponse(body: Uint8Array): EncodeAnswer {
  return parseStrictly('encode response', body, (reader) => {
    const errorNumber = reader.readByte()
    const errorText = readText(reader, reader.readByte())
    return { errorNumber, errorText, credential: readText(reader, reader.readUint32()) }
  })
}

/**
 * A frame around a body; requests always carry retry 0.
 * (A non-zero retry would let munged accept a replay.)
 */
export function buildFrame(type: MessageType, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const { frame } = startFrame(type, body.length)
  frame.set(body, HEADER_LENGTH)
  return frame
}

/** The header, and room for the body. */
function startFrame(
  type: MessageType,
  bodyLength: number,
): { frame: Uint8Array<ArrayBuffer>; view: DataView } {
  const frame = new Uint8Array(HEADER_LENGTH + bodyLength)
  const view = new DataView(frame.buffer)
  view.setUint32(0, MAGIC)
  view.setUint8(4, VERSION)
  view.setUint8(5, type)
  view.setUint32(7, bodyLength)
  return { frame, view }
}

function parseStrictly<T>(what: string, bytes: Uint8Array, parse: (reader: ByteReader) => T): T {
  try {
    const reader = new ByteReader(bytes)
    const parsed = parse(reader)
    reader.requireEnd()
    return parsed
  } catch (cause) {
    if (!(cause instanceof FrameError)) throw cause
    throw new Outage('munged_unavailable', `munged's ${what} is malformed: ${cause.message}`, { cause })
  }
}

/** The text up to its final NUL; bytes that are not printable ASCII become `?`, so that no log line is forged. */
function readText(reader: ByteReader, length: number): string {
  const bytes = reader.readBytes(length)
  const end = bytes.at(-1) === 0 ? length - 1 : length
  let text = ''
  for (let index = 0; index < end; index += 1) {
    const byte = bytes[index] ?? 0
    text += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '?'
  }
  return text
}

function readAddress(reader: ByteReader): string | null {
  const length = reader.readByte()
  if (length !== 0 && length !== 4) throw new FrameError(`an address of ${length} bytes`)
  return length === 0 ? null : reader.readBytes(length).join('.')
}

function readRestriction(reader: ByteReader): number | null {
  const id = reader.readUint32()
  return id === ANYBODY ? null : id
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value)
  return bytes
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}
