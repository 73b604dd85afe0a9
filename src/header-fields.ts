/**
 * Looks up a request's header fields by name, in the fields as they were received: the same look-up on every runtime, and
 * nothing is built for a request that a name or two are asked of.
 */

import type { RawHeaders } from './ports.ts'

/** As of the Web's Headers, which is one of these. */
export interface HeaderFields {
  /** @returns the values of all fields of that name, joined as in RFC 9110 section 5.3; null: there is none. */
  get(name: string): string | null
  has(name: string): boolean
}

/** @returns what takes names in lower case only. */
export function createHeaderFields(raw: RawHeaders): HeaderFields {
  return new RawHeaderFields(raw)
}

class RawHeaderFields implements HeaderFields {
  readonly #raw: RawHeaders

  constructor(raw: RawHeaders) {
    this.#raw = raw
  }

  get(name: string): string | null {
    let joined: string | null = null
    for (const [rawName, value] of this.#raw) {
      if (!isNamed(rawName, name)) continue
      const trimmed = trimSpace(value)
      joined = joined === null ? trimmed : `${joined}, ${trimmed}`
    }
    return joined
  }

  has(name: string): boolean {
    for (const [rawName] of this.#raw) if (isNamed(rawName, name)) return true
    return false
  }
}

function isNamed(rawName: string, name: string): boolean {
  return rawName.length === name.length && rawName.toLowerCase() === name
}

/** RFC 9110 section 5.6.3: optional white space is space and tab; a no-break space belongs to the value. */
export function trimSpace(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isSpace(text.charCodeAt(start))) start += 1
  while (start < end && isSpace(text.charCodeAt(end - 1))) end -= 1
  return start === 0 && end === text.length ? text : text.slice(start, end)
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09
}
