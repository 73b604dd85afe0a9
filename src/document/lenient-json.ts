/**
 * Reads JSON as slurmrestd does: json-c's tokenizer in its lenient mode, the same on Slurm 22.05, 24.11 and 26.05
 * (measured). It takes whatever the daemon takes and sees in it what the daemon sees, so that a document may be judged
 * before its own bytes go upstream. It writes nothing.
 */

import { JSON_DEPTH_MAX, JSON_VALUES_MAX } from '../limits.ts'
import type { JsonProblem, JsonValue } from './json-document.ts'

/** @param bytes untrusted, already capped by the caller. What stands behind the document is not looked at. */
export function parseLenientJson(bytes: Uint8Array): JsonValue | JsonProblem {
  // json-c checks no UTF-8; a replacement character never swallows an ASCII one.
  const text = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true }).decode(bytes)
  const end = text.indexOf('\0')
  try {
    // Behind a NUL nothing counts, and an open comment there makes json-c return an inner value as the whole (measured).
    return new LenientReader(end === -1 ? text : text.slice(0, end)).read()
  } catch (cause) {
    if (cause instanceof JsonFault) return { type: 'problem', text: cause.message }
    throw cause
  }
}

class JsonFault extends Error {}

type Container = Extract<JsonValue, { type: 'object' | 'array' }>

/** A loop over open containers instead of recursion; every character is looked at once. */
class LenientReader {
  readonly #text: string
  readonly #open: Container[] = []
  #offset = 0
  #valuesCount = 0

  constructor(text: string) {
    this.#text = text
  }

  read(): JsonValue {
    this.#skipBlanks()
    const root = this.#readValue()
    let isFirst = true
    for (let parent = this.#open.at(-1); parent !== undefined; parent = this.#open.at(-1)) {
      const depth = this.#open.length
      if (this.#takesClosing(parent, isFirst)) this.#open.pop()
      else this.#readInto(parent)
      isFirst = this.#open.length > depth
    }
    return root
  }

  /** One comma may stand before the closing bracket, as in the published submit example; two, or a first one, may not. */
  #takesClosing(parent: Container, isFirst: boolean): boolean {
    this.#skipBlanks()
    const hasComma = !isFirst && this.#take(',')
    if (hasComma) this.#skipBlanks()
    if (this.#take(parent.type === 'object' ? '}' : ']')) return true
    if (!isFirst && !hasComma) this.#fail()
    return false
  }

  /** Of a key that stands twice the last value counts (measured). */
  #readInto(parent: Container): void {
    if (parent.type === 'array') {
      parent.items.push(this.#readValue())
      return
    }
    const quote = this.#text[this.#offset]
    if (quote !== '"' && quote !== "'") this.#fail()
    const key = this.#readString(quote)
    this.#skipBlanks()
    if (!this.#take(':')) this.#fail()
    this.#skipBlanks()
    parent.members.set(key, this.#readValue())
  }

  /** A container is returned empty, and open: its content is read next. */
  #readValue(): JsonValue {
    this.#valuesCount += 1
    if (this.#valuesCount > JSON_VALUES_MAX) {
      throw new JsonFault(`the body has more than ${JSON_VALUES_MAX} values`)
    }
    const first = this.#text[this.#offset]
    if (first === '{') return this.#begin({ type: 'object', members: new Map() })
    if (first === '[') return this.#begin({ type: 'array', items: [] })
    if (first === '"' || first === "'") return { type: 'string', value: this.#readString(first) }
    return { type: 'literal', text: this.#readLiteral() }
  }

  #begin(container: Container): Container {
    if (this.#open.length >= JSON_DEPTH_MAX) {
      throw new JsonFault(`the body is nested deeper than ${JSON_DEPTH_MAX} at character ${this.#offset + 1}`)
    }
    this.#open.push(container)
    this.#offset += 1
    return container
  }

  /** Words in any case; a number may begin with zeros, and loses a tail such as that of `1e+` (measured). */
  #readLiteral(): string {
    const word = this.#match(WORD)?.toLowerCase()
    if (word !== undefined) return WORDS[word] ?? word
    const run = this.#match(NUMBER_RUN)
    const number = run !== undefined && /[.eE]/.test(run) ? run.replace(/[eE+-]{1,4}$/, '') : run
    if (number === undefined || !NUMBER.test(number)) this.#fail()
    return number
  }

  /** The text that C sees: it ends at `\u0000`, in a key too (`"account\u0000x"` is `account`, measured). */
  #readString(quote: '"' | "'"): string {
    const parts: string[] = []
    let start = ++this.#offset
    for (;;) {
      const character = this.#text[this.#offset]
      if (character === undefined) this.#fail()
      if (character !== quote && character !== '\\') {
        this.#offset += 1
        continue
      }
      parts.push(this.#text.slice(start, this.#offset))
      if (character === quote) break
      parts.push(this.#readEscape())
      start = this.#offset
    }
    this.#offset += 1
    const text = parts.join('')
    return text.split('\0', 1)[0] ?? ''
  }

  /** A lone surrogate becomes U+FFFD (measured). */
  #readEscape(): string {
    const escape = this.#match(ESCAPE)
    if (escape === undefined) this.#fail()
    if (escape[1] !== 'u') return ESCAPED[escape[1] ?? ''] ?? ''
    const low = HIGH_SURROGATE.test(escape) ? this.#match(LOW_SURROGATE) : undefined
    const units = low === undefined ? [escape] : [escape, low]
    const text = String.fromCharCode(...units.map((unit) => Number.parseInt(unit.slice(2), 16)))
    return /\p{Surrogate}/u.test(text) ? '\ufffd' : text
  }

  /** Four characters are blank, no others; a comment may stand wherever they may. An open comment is an error. */
  #skipBlanks(): void {
    for (;;) {
      this.#match(BLANKS)
      if (this.#text.startsWith('//', this.#offset)) this.#offset = this.#findEndOfLine()
      else if (this.#text.startsWith('/*', this.#offset)) this.#offset = this.#findEndOfComment()
      else return
    }
  }

  #findEndOfLine(): number {
    const end = this.#text.indexOf('\n', this.#offset + 2)
    return end === -1 ? this.#fail() : end + 1
  }

  /** A star hides the character behind it unless that is the slash: `/***` and a slash is still open (measured on json-c). */
  #findEndOfComment(): number {
    for (let from = this.#offset + 2; ;) {
      const star = this.#text.indexOf('*', from)
      if (star === -1) this.#fail()
      if (this.#text[star + 1] === '/') return star + 2
      from = star + 2
    }
  }

  #take(character: ',' | ':' | '}' | ']'): boolean {
    const isThere = this.#text[this.#offset] === character
    if (isThere) this.#offset += 1
    return isThere
  }

  #match(sticky: RegExp): string | undefined {
    sticky.lastIndex = this.#offset
    const found = sticky.exec(this.#text)?.[0]
    if (found !== undefined) this.#offset += found.length
    return found
  }

  #fail(): never {
    throw new JsonFault(`the body is not JSON that slurmrestd reads, at character ${this.#offset + 1}`)
  }
}

const BLANKS = /[ \t\n\r]*/y
const WORD = /true|false|null|nan|-?infinity/iy
const WORDS: Readonly<Record<string, string | undefined>> = {
  nan: 'NaN',
  infinity: 'Infinity',
  '-infinity': '-Infinity',
}
/** As far as json-c collects before it looks at the number, and what must follow. */
const NUMBER_RUN = /(?=[-0-9])-?[0-9]*(?:\.[+-]?[0-9]*)?(?:[eE][+-]?[0-9]*)?(?=[,\]}/ \t\n\r])/y
const NUMBER = /^-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y
const HIGH_SURROGATE = /^\\u[dD][89abAB]/
const LOW_SURROGATE = /\\u[dD][c-fC-F][0-9a-fA-F]{2}/y
const ESCAPED: Readonly<Record<string, string | undefined>> = {
  ...{ '"': '"', '\\': '\\', '/': '/' },
  ...{ b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' },
}
