/**
 * A strict reader and writer for JSON documents that are judged before they go upstream. slurmrestd's reader takes
 * comments, single quotes, NaN, duplicate keys (last wins) and text behind the document (measured); this one takes RFC
 * 8259 and trailing commas, without what C code upstream would read as something else: NUL, lone surrogates, numbers
 * beyond 64 bits. It keeps every number as it was written. The tokens come from jsonc-parser.
 */

import { printParseErrorCode, visit } from 'jsonc-parser'
import { JSON_DEPTH_MAX, JSON_VALUES_MAX, KEY_MAX_BYTES } from '../limits.ts'

export type JsonValue =
  | { readonly type: 'object'; readonly members: Map<string, JsonValue> }
  | { readonly type: 'array'; readonly items: JsonValue[] }
  | { readonly type: 'string'; readonly value: string }
  /** `null`, `true`, `false`, or a number, as it was written: 64-bit integers stay exact. */
  | { readonly type: 'literal'; readonly text: string }

export type JsonObject = Extract<JsonValue, { type: 'object' }>

export interface JsonProblem {
  readonly type: 'problem'
  /** For the caller: what is wrong, and where. Names no value. */
  readonly text: string
}

/** @param bytes untrusted, already capped by the caller. */
export function parseJson(bytes: Uint8Array): JsonValue | JsonProblem {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return { type: 'problem', text: 'the body is not UTF-8' }
  }
  try {
    return new DocumentBuilder(text).build()
  } catch (cause) {
    if (cause instanceof JsonFault) return { type: 'problem', text: cause.message }
    throw cause
  }
}

export function serializeJson(value: JsonValue): string {
  switch (value.type) {
    case 'object':
      return `{${[...value.members].map(([key, member]) => `${JSON.stringify(key)}:${serializeJson(member)}`).join(',')}}`
    case 'array':
      return `[${value.items.map(serializeJson).join(',')}]`
    case 'string':
      return JSON.stringify(value.value)
    case 'literal':
      return value.text
  }
}

class JsonFault extends Error {}

interface OpenValue {
  readonly value: JsonValue
  /** As they are compared: see {@link foldKey}. */
  readonly keys: Set<string>
  readonly isFolded: boolean
  key: string
}

/** Depth is capped at each opening bracket, so the tokenizer's own recursion stays shallow. */
class DocumentBuilder {
  readonly #text: string
  readonly #open: OpenValue[] = []
  #root: JsonValue | null = null
  #valuesCount = 0

  constructor(text: string) {
    this.#text = text
  }

  build(): JsonValue {
    const fail = (offset: number, what: string): never => {
      throw new JsonFault(`${what} at character ${offset + 1}`)
    }
    visit(
      this.#text,
      {
        onObjectBegin: (offset) => this.#begin({ type: 'object', members: new Map() }, offset),
        onObjectProperty: (key, offset) => this.#setKey(key, offset),
        onObjectEnd: () => void this.#open.pop(),
        onArrayBegin: (offset) => this.#begin({ type: 'array', items: [] }, offset),
        onArrayEnd: () => void this.#open.pop(),
        onLiteralValue: (value: unknown, offset, length) =>
          this.#add(this.#readLiteral(value, offset, length)),
        onError: (error, offset) => fail(offset, describeFault(printParseErrorCode(error))),
      },
      { disallowComments: true, allowTrailingComma: true },
    )
    return this.#root ?? fail(0, 'the body is empty')
  }

  #begin(value: JsonValue, offset: number): void {
    if (this.#open.length >= JSON_DEPTH_MAX) {
      throw new JsonFault(`the body is nested deeper than ${JSON_DEPTH_MAX} at character ${offset + 1}`)
    }
    const isFolded = this.#open.at(-1)?.key !== 'environment'
    this.#add(value)
    this.#open.push({ value, keys: new Set(), isFolded, key: '' })
  }

  /**
   * 22.05 folds case, so keys that differ in case only are duplicates: which one counts is the daemon's secret. Not so
   * inside `environment`, an object up to v0.0.38: `http_proxy` and `HTTP_PROXY` are two variables, there and upstream.
   */
  #setKey(key: string, offset: number): void {
    const parent = this.#open.at(-1)
    if (parent === undefined) return
    checkText(key, offset)
    if (new TextEncoder().encode(key).length > KEY_MAX_BYTES) {
      throw new JsonFault(`a key is longer than ${KEY_MAX_BYTES} bytes at character ${offset + 1}`)
    }
    const compared = parent.isFolded ? foldKey(key) : key
    if (parent.keys.has(compared)) throw new JsonFault(`a key stands twice at character ${offset + 1}`)
    parent.keys.add(compared)
    parent.key = key
  }

  #readLiteral(value: unknown, offset: number, length: number): JsonValue {
    if (typeof value !== 'string') {
      const text = this.#text.slice(offset, offset + length)
      if (typeof value === 'number') checkNumber(text, offset)
      return { type: 'literal', text }
    }
    checkText(value, offset)
    return { type: 'string', value }
  }

  #add(value: JsonValue): void {
    this.#valuesCount += 1
    if (this.#valuesCount > JSON_VALUES_MAX) {
      throw new JsonFault(`the body has more than ${JSON_VALUES_MAX} values`)
    }
    const parent = this.#open.at(-1)
    if (parent === undefined) this.#root = value
    else if (parent.value.type === 'object') parent.value.members.set(parent.key, value)
    else if (parent.value.type === 'array') parent.value.items.push(value)
  }
}

/** What a script that was pasted into a string as it is runs into (RFC 8259 section 7). */
function describeFault(code: string): string {
  return code === 'UnexpectedEndOfString' || code === 'InvalidCharacter'
    ? 'a string is not closed, or has a line break or tab in it that is not written as \\n or \\t,'
    : 'the body is not valid JSON'
}

/** `strcasecmp` and `tolower` in the C locale: ASCII letters and no others. */
function foldKey(key: string): string {
  return key.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}

/**
 * C code upstream ends a string at NUL: `"own\u0000x"` would be compared as one thing and used as another. json-c puts
 * U+FFFD in the place of a lone surrogate: what was judged is not what would be used.
 */
function checkText(text: string, offset: number): void {
  if (text.includes('\u0000')) throw new JsonFault(`a string contains NUL at character ${offset + 1}`)
  if (/\p{Surrogate}/u.test(text)) {
    throw new JsonFault(`a string contains half a surrogate pair at character ${offset + 1}`)
  }
}

const INT64_MIN = -(2n ** 63n)
const UINT64_MAX = 2n ** 64n - 1n

/**
 * json-c holds integers in 64 bits and saturates the rest; what has a fraction or an exponent becomes a double, and
 * slurmrestd casts that to a 64-bit integer where it wants one, which C leaves undefined outside its range.
 */
function checkNumber(text: string, offset: number): void {
  if (isInRange(text)) return
  throw new JsonFault(`a number does not fit into 64 bits at character ${offset + 1}`)
}

function isInRange(text: string): boolean {
  if (!/^-?\d+$/.test(text)) return Math.abs(Number(text)) < 2 ** 63
  // The longest in range have 20 characters; BigInt of a megabyte of digits would take seconds.
  if (text.length > 20) return false
  const integer = BigInt(text)
  return INT64_MIN <= integer && integer <= UINT64_MAX
}
