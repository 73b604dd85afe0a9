/**
 * Writes a document as YAML that leaves a reader no choice: flow style on one line, keys and values in double quotes,
 * what is no text by its tag. Every slurmrestd reads it as the tree it was written from (measured).
 */

import type { JsonValue } from './json-document.ts'

/** Recursive: the depth was capped when the tree was read. No text in it has NUL or half a surrogate pair. */
export function serializeYaml(value: JsonValue): string {
  switch (value.type) {
    case 'object': {
      const members = [...value.members].map(([key, member]) => `${quote(key)}: ${serializeYaml(member)}`)
      return `{${members.join(', ')}}`
    }
    case 'array':
      return `[${value.items.map(serializeYaml).join(', ')}]`
    case 'string':
      return quote(value.value)
    case 'literal':
      return `!!${findTag(value.text)} ${quote(value.text)}`
  }
}

function findTag(text: string): 'null' | 'bool' | 'int' | 'float' {
  if (text === 'null') return 'null'
  if (text === 'true' || text === 'false') return 'bool'
  return /[.eE]/.test(text) ? 'float' : 'int'
}

/**
 * What libyaml refuses unescaped, takes for a line break or skips: controls, U+0085, U+2028, U+2029, U+FEFF (measured);
 * and what nobody sees.
 */
const ESCAPED = /["\\\u0000-\u001f\u007f-\u00a0\u2028\u2029\ufeff\ufffe\uffff]/g

function quote(text: string): string {
  return `"${text.replace(ESCAPED, escapeCharacter)}"`
}

function escapeCharacter(character: string): string {
  const short = SHORT[character]
  if (short !== undefined) return short
  const hex = character.charCodeAt(0).toString(16)
  return hex.length > 2 ? `\\u${hex.padStart(4, '0')}` : `\\x${hex.padStart(2, '0')}`
}

const SHORT: Readonly<Record<string, string | undefined>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\n': '\\n',
  '\t': '\\t',
}
