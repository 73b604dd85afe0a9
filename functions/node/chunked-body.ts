/** Reads a body in chunks (RFC 9112 section 7.1) from hostile bytes, in whatever pieces they come. */

import { unreadable } from './answer-head.ts'

/** A size and its extensions, which are not looked at. */
const SIZE_LINE_MAX_BYTES = 256
/** Bytes of a chunk's size in hexadecimal digits: 16 TiB, and a number without loss. */
const SIZE_MAX_DIGITS = 11
const TRAILERS_MAX_BYTES = 8 * 1024

const LF = 0x0a
const CR = 0x0d
const SEMICOLON = 0x3b

type Place = 'size' | 'extension' | 'size-end' | 'data' | 'data-end' | 'data-line-end' | PlaceBehind
/** Behind the last chunk. */
type PlaceBehind = 'trailer-start' | 'trailer' | 'trailer-end' | 'last-end' | 'over'

export class ChunkedBody {
  #place: Place = 'size'
  #left = 0
  #digits = 0
  /** Of the size line, or of all trailers. */
  #lineBytes = 0

  reset(): void {
    this.#place = 'size'
    this.#left = 0
    this.#digits = 0
    this.#lineBytes = 0
  }

  get isOver(): boolean {
    return this.#place === 'over'
  }

  /**
   * @param take is given each piece of the body. @returns false: it wants no more.
   * @returns where it stopped: behind the body's last byte, or at the end.
   * @throws Outage `upstream_unreachable`
   */
  read(bytes: Buffer, start: number, end: number, take: (piece: Buffer) => boolean): number {
    let at = start
    while (at < end && this.#place !== 'over') {
      if (this.#place !== 'data') {
        this.#step(bytes[at] ?? 0)
        at += 1
        continue
      }
      const pieceEnd = Math.min(end, at + this.#left)
      this.#left -= pieceEnd - at
      if (this.#left === 0) this.#place = 'data-end'
      if (!take(bytes.subarray(at, pieceEnd))) return pieceEnd
      at = pieceEnd
    }
    return at
  }

  #step(byte: number): void {
    const place = this.#place
    if (place === 'size' || place === 'extension') this.#takeSize(byte)
    else if (place === 'size-end') {
      requireByte(byte, LF)
      this.#place = this.#left === 0 ? 'trailer-start' : 'data'
      this.#lineBytes = 0
      this.#digits = 0
    } else if (place === 'data-end') {
      requireByte(byte, CR)
      this.#place = 'data-line-end'
    } else if (place === 'data-line-end') {
      requireByte(byte, LF)
      this.#place = 'size'
    } else this.#takeTrailer(byte)
  }

  #takeSize(byte: number): void {
    this.#count(SIZE_LINE_MAX_BYTES)
    if (byte === CR && this.#digits > 0) this.#place = 'size-end'
    else if (this.#place === 'extension') requireText(byte)
    else if (byte === SEMICOLON && this.#digits > 0) this.#place = 'extension'
    else {
      const digit = readHexDigit(byte)
      this.#digits += 1
      if (digit < 0 || this.#digits > SIZE_MAX_DIGITS) throw unreadable('a malformed chunk')
      this.#left = 16 * this.#left + digit
    }
  }

  /** They mean nothing here. */
  #takeTrailer(byte: number): void {
    this.#count(TRAILERS_MAX_BYTES)
    const place = this.#place
    if (place === 'trailer-end' || place === 'last-end') {
      requireByte(byte, LF)
      this.#place = place === 'trailer-end' ? 'trailer-start' : 'over'
    } else if (byte === CR) this.#place = place === 'trailer' ? 'trailer-end' : 'last-end'
    else {
      requireText(byte)
      this.#place = 'trailer'
    }
  }

  #count(maxBytes: number): void {
    this.#lineBytes += 1
    if (this.#lineBytes > maxBytes) throw unreadable('a line of a chunked body is too long')
  }
}

function requireByte(byte: number, expected: number): void {
  if (byte !== expected) throw unreadable('a malformed chunk')
}

function requireText(byte: number): void {
  if ((byte < 0x20 && byte !== 0x09) || byte === 0x7f)
    throw unreadable('a control character in a chunked body')
}

/** @returns -1: it is none. */
function readHexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}
