/**
 * Reads the head of slurmrestd's answer from hostile bytes, in whatever pieces they come (RFC 9112 sections 4 to 6). What two
 * readers could take for two things is an outage: then nobody can say where the answer ends and the next one begins.
 */

import { Outage } from '../../src/refusal.ts'

/** Interim answers included. As much as slurmrestd itself reads of a request (measured). */
export const ANSWER_HEAD_MAX_BYTES = 80 * 1024
/** So that one that comes byte by byte is not read over and over. */
export const ANSWER_LINE_MAX_BYTES = 16 * 1024

const TAB = 0x09
const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const COLON = 0x3a
const ZERO = 0x30
const DOT = 0x2e

/** RFC 9110 section 5.5: HTAB, SP, VCHAR, obs-text. */
const IS_TEXT = buildTable(/[\t\x20-\x7e\x80-\xff]/)
/** RFC 9110 section 5.6.2. */
const IS_TOKEN = buildTable(/[!#$%&'*+.^_`|~\dA-Za-z-]/)

export class AnswerHead {
  status = 0
  contentType: string | null = null
  /** null: not given, or the status has no body. */
  contentLength: number | null = null
  isChunked = false
  /** Says so itself, or is HTTP/1.0. */
  isClosing = false
  /** For how long the other side keeps the connection; null: it does not say. */
  keepAliveSeconds: number | null = null
  isWhole = false
  #bytesTaken = 0

  /** For the next answer. */
  reset(): void {
    this.#bytesTaken = 0
    this.#clear()
  }

  /**
   * Takes whole lines until the head is whole.
   * @returns where it stopped: the rest has to be given again, with more behind it.
   * @throws Outage `upstream_unreachable`
   */
  read(bytes: Buffer, start: number, end: number): number {
    let at = start
    while (!this.isWhole) {
      const lineEnd = findLineEnd(bytes, at, end)
      const length = (lineEnd < 0 ? end : lineEnd + 2) - at
      if (length > ANSWER_LINE_MAX_BYTES || this.#bytesTaken + length > ANSWER_HEAD_MAX_BYTES) {
        throw unreadable('its head is too long')
      }
      if (lineEnd < 0) return at
      this.#bytesTaken += length
      this.#takeLine(bytes, at, lineEnd)
      at = lineEnd + 2
    }
    return at
  }

  /** RFC 9112 section 6.3. */
  get hasNoBody(): boolean {
    return this.status === 204 || this.status === 304
  }

  #takeLine(bytes: Buffer, start: number, end: number): void {
    if (this.status === 0) this.#takeStatus(bytes, start, end)
    else if (start < end) this.#takeField(bytes, start, end)
    else this.#finish()
  }

  /** RFC 9112 section 4. Many leave the space before an empty reason away. */
  #takeStatus(bytes: Buffer, start: number, end: number): void {
    const version = bytes[start + 7]
    const isHttp =
      end - start >= 12 &&
      bytes.toString('latin1', start, start + 5) === 'HTTP/' &&
      bytes[start + 5] === ZERO + 1 &&
      bytes[start + 6] === DOT &&
      (version === ZERO || version === ZERO + 1) &&
      bytes[start + 8] === SPACE &&
      (end - start === 12 || bytes[start + 12] === SPACE)
    if (!isHttp) throw unreadable('no HTTP/1.1')
    let status = 0
    for (let at = start + 9; at < start + 12; at += 1) {
      const digit = (bytes[at] ?? 0) - ZERO
      if (digit < 0 || digit > 9) throw unreadable('no HTTP/1.1')
      status = 10 * status + digit
    }
    if (status < 100) throw unreadable(`status ${status}`)
    if (status === 101) throw unreadable('an upgrade that nobody asked for')
    this.status = status
    if (version === ZERO) this.isClosing = true
  }

  #takeField(bytes: Buffer, start: number, end: number): void {
    let colon = start
    while (colon < end && IS_TOKEN[bytes[colon] ?? 0] === 1) colon += 1
    // A folded line, a space before the colon and a line without one end up here too (RFC 9112 section 5).
    if (colon === start || colon === end || bytes[colon] !== COLON) throw unreadable('a malformed header')
    if (!NAME_LENGTHS.has(colon - start)) return
    const name = bytes.toString('latin1', start, colon).toLowerCase()
    switch (name) {
      case 'content-length':
        this.#takeLength(readValue(bytes, colon + 1, end))
        return
      case 'transfer-encoding':
        this.#takeCoding(readValue(bytes, colon + 1, end))
        return
      case 'content-type':
        this.contentType ??= readValue(bytes, colon + 1, end)
        return
      case 'connection':
        if (/close/i.test(readValue(bytes, colon + 1, end))) this.isClosing = true
        return
      case 'keep-alive':
        this.keepAliveSeconds = readTimeout(readValue(bytes, colon + 1, end))
    }
  }

  /** Smuggling: two readers of two lengths find two ends (RFC 9112 section 6.3, 5). */
  #takeLength(value: string): void {
    if (this.contentLength !== null) throw unreadable('two lengths')
    if (!/^\d{1,15}$/.test(value)) throw unreadable('a malformed length')
    this.contentLength = Number(value)
  }

  /** Any other coding than the one that everybody has to know is not read (RFC 9112 section 6.1). */
  #takeCoding(value: string): void {
    if (this.isChunked || value.toLowerCase() !== 'chunked') throw unreadable('an unknown transfer coding')
    this.isChunked = true
  }

  /** Interim answers are skipped (RFC 9110 section 15.2). */
  #finish(): void {
    if (this.status < 200) {
      this.#clear()
      return
    }
    if (this.isChunked && this.contentLength !== null) throw unreadable('a length beside a transfer coding')
    if (this.hasNoBody) this.contentLength = null
    this.isWhole = true
  }

  #clear(): void {
    this.status = 0
    this.contentType = null
    this.contentLength = null
    this.isChunked = false
    this.isClosing = false
    this.keepAliveSeconds = null
    this.isWhole = false
  }
}

const NAME_LENGTHS: ReadonlySet<number> = new Set(
  ['content-length', 'transfer-encoding', 'content-type', 'connection', 'keep-alive'].map(
    (name) => name.length,
  ),
)

/**
 * @returns where its CR is; -1: it has not come yet.
 * @throws Outage for a control character: an LF alone is no end of a line, and a CR alone none either.
 */
function findLineEnd(bytes: Buffer, start: number, end: number): number {
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] ?? 0
    if (IS_TEXT[byte] === 1) continue
    if (byte !== CR) throw unreadable('a control character in its head')
    if (at + 1 === end) return -1
    if (bytes[at + 1] !== LF) throw unreadable('a control character in its head')
    return at
  }
  return -1
}

function readValue(bytes: Buffer, start: number, end: number): string {
  let from = start
  let to = end
  while (from < to && isBlank(bytes[from])) from += 1
  while (from < to && isBlank(bytes[to - 1])) to -= 1
  return bytes.toString('latin1', from, to)
}

function readTimeout(value: string): number | null {
  const seconds = /\btimeout=(\d{1,6})/i.exec(value)?.[1]
  return seconds === undefined ? null : Number(seconds)
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB
}

/** 1 for each byte that is one of these. */
function buildTable(characters: RegExp): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (characters.test(String.fromCharCode(byte)) ? 1 : 0))
}

export function unreadable(why: string): Outage {
  return new Outage('upstream_unreachable', `slurmrestd answered unreadably (${why})`)
}
