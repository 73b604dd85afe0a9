/**
 * Recognises YAML that every reader reads alike: js-yaml, which the gate judges by, libyaml's parser (Slurm 24.11,
 * 26.05), and 22.05, which reads libyaml's bare tokens and so misses lists at their key's own column, pairs in lists and
 * values that are left out (measured). It says yes to little; what it says no to may be fine.
 */

import { JSON_DEPTH_MAX, JSON_VALUES_MAX } from '../limits.ts'

/** @param bytes untrusted, already capped by the caller. Each is looked at a fixed number of times. */
export function isPlainYaml(bytes: Uint8Array): boolean {
  // A block scalar that the end of the text cuts off ends with a line break for some readers only.
  const isAscii = bytes.every((byte) => byte === LINE_FEED || (byte >= SPACE && byte <= TILDE))
  if (!isAscii || bytes.at(-1) !== LINE_FEED) return false
  const lines = new TextDecoder().decode(bytes).slice(0, -1).split('\n')
  return new PlainReader(lines).isPlain()
}

const [LINE_FEED, SPACE, TILDE] = [0x0a, 0x20, 0x7e]

/** Text that stands on the line of its key or dash. Unquoted, it begins with nothing that YAML gives a meaning to. */
const PLAIN = /^[A-Za-z0-9_./][!-~]*(?: +[!-~]+)*$/
const NOT_IN_PLAIN = /#|: |:$/
const QUOTED = /^(?:"[^"\\]*"|'[^']*')$/
const KEY = /^([A-Za-z0-9_]{1,100}):(?: +|$)/

interface Block {
  readonly column: number
  /** Null in a list. Of a list that stands twice under one key, 24.11 and 26.05 put the second into the first. */
  readonly keys: Set<string> | null
}

/** Follows the blocks by their columns; a line belongs to an open one, or opens one where one is awaited. */
class PlainReader {
  readonly #lines: readonly string[]
  readonly #open: Block[] = []
  #next = 0
  #valuesCount = 0
  /** The column that a block must be deeper than, after a key without a value; null: a value is not awaited. */
  #awaitedBelow: number | null = -1

  constructor(lines: readonly string[]) {
    this.#lines = lines
    if (lines[0] === '---') this.#next = 1
  }

  isPlain(): boolean {
    for (;;) {
      const line = this.#lines[this.#next]
      if (line === undefined) return this.#awaitedBelow === null
      this.#next += 1
      if (line !== '' && !this.#takesLine(line)) return false
    }
  }

  #takesLine(line: string): boolean {
    let column = countBlanks(line)
    const isRoot = this.#open.length === 0
    if (isRoot && column > 0) return false
    let isFirst = true
    for (; line.startsWith('- ', column); column += 2, isFirst = false) {
      if (!this.#takesEntry(column, null, isFirst)) return false
    }
    const rest = line.slice(column)
    const found = KEY.exec(rest)
    if (found === null) return !isFirst && this.#takesText(rest, column - 2)
    const [mark, key = ''] = found
    if (!this.#takesEntry(column, key, isFirst)) return false
    const text = rest.slice(mark.length)
    if (text !== '') return this.#takesText(text, column)
    this.#awaitedBelow = column
    return mark.endsWith(':')
  }

  /** @param key null: of a list. */
  #takesEntry(column: number, key: string | null, isFirstOfLine: boolean): boolean {
    this.#valuesCount += 1
    if (this.#valuesCount > JSON_VALUES_MAX) return false
    const isOpening = !isFirstOfLine || this.#awaitedBelow !== null
    if (isOpening) {
      if (this.#open.length >= JSON_DEPTH_MAX || column <= (this.#awaitedBelow ?? -1)) return false
      this.#open.push({ column, keys: key === null ? null : new Set() })
      this.#awaitedBelow = null
    } else {
      while ((this.#open.at(-1)?.column ?? -1) > column) this.#open.pop()
    }
    const block = this.#open.at(-1)
    if (block?.column !== column || (block.keys === null) !== (key === null)) return false
    if (block.keys === null || key === null) return true
    if (block.keys.has(key)) return false
    block.keys.add(key)
    return true
  }

  /** @param column of the key or dash whose value it is. */
  #takesText(text: string, column: number): boolean {
    if (text === '|') return this.#takesLiteral(column)
    return QUOTED.test(text) || (PLAIN.test(text) && !NOT_IN_PLAIN.test(text))
  }

  /** Content as deep as its first line or deeper, up to a line that is not deeper than what it belongs to. */
  #takesLiteral(column: number): boolean {
    let indent: number | null = null
    for (; this.#next < this.#lines.length; this.#next += 1) {
      const line = this.#lines[this.#next] ?? ''
      if (line === '') continue
      const blanks = countBlanks(line)
      if (blanks <= column) break
      indent ??= blanks
      if (blanks < indent || blanks === line.length) return false
    }
    return indent !== null
  }
}

function countBlanks(line: string): number {
  let count = 0
  while (line[count] === ' ') count += 1
  return count
}
