/**
 * Reads YAML for the judgement of what slurmrestd would do with it. Readers of YAML differ, in Slurm's releases too
 * (22.05 reads the tokens of libyaml, 24.11 and 26.05 its events, measured): only of a plain document may the caller's
 * own bytes go upstream; what else is read here has to be written anew from the tree. As in slurmrestd, every scalar is
 * text unless a tag says otherwise, merge keys are plain keys, of a key that stands twice the last counts. A second
 * document and aliases are refused: no two releases do the same with them.
 */

import * as yaml from 'js-yaml'
import { JSON_DEPTH_MAX, JSON_VALUES_MAX, YAML_MARKS_MAX } from '../limits.ts'
import { indentFlowLines } from './flow-indentation.ts'
import type { JsonProblem, JsonValue } from './json-document.ts'
import { isPlainYaml } from './plain-yaml.ts'

/** @param bytes untrusted, already capped by the caller. */
export function parseLenientYaml(bytes: Uint8Array): JsonValue | JsonProblem {
  try {
    return readDocument(decode(bytes), isPlainYaml(bytes))
  } catch (cause) {
    if (cause instanceof yaml.YAMLException) return problem('the body is not YAML that slurmrestd reads')
    if (cause instanceof YamlFault) return problem(cause.message)
    throw cause
  }
}

class YamlFault extends Error {}

/** libyaml wants UTF-8, with or without a byte order mark; behind a NUL nothing counts for it (measured). */
function decode(bytes: Uint8Array): string {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new YamlFault('the body is not UTF-8')
  }
  const end = text.indexOf('\0')
  return end === -1 ? text : text.slice(0, end)
}

/** js-yaml collects all events before anybody can count them; a plain document was counted by its lines. */
function readDocument(text: string, isPlain: boolean): JsonValue {
  if (!isPlain && hasTooManyMarks(text)) {
    throw new YamlFault(
      `the body has more than ${YAML_MARKS_MAX} lines, commas and brackets; send it as JSON`,
    )
  }
  try {
    return readEvents(text)
  } catch (cause) {
    if (!(cause instanceof yaml.YAMLException)) throw cause
    const moved = indentFlowLines(text)
    if (moved === text) throw cause
    return readEvents(moved)
  }
}

/** No event is without one of these marks before it; what stands in a script counts too. */
function hasTooManyMarks(text: string): boolean {
  return text.split(/[,[{\n\r]|[-?:](?=\s)/, YAML_MARKS_MAX + 2).length > YAML_MARKS_MAX + 1
}

/** The depth is capped while the events are read: 100,000 open brackets stall slurmrestd 24.11 and 26.05 for minutes. */
function readEvents(source: string): JsonValue {
  const events = yaml.parseEvents(source, { maxDepth: JSON_DEPTH_MAX })
  const count = (type: yaml.EventId): number => events.filter((event) => event.type === type).length
  if (count(yaml.EVENT_ID.DOCUMENT) !== 1) throw new YamlFault('the body must be one YAML document')
  if (count(yaml.EVENT_ID.ALIAS) > 0) throw new YamlFault('the body has a YAML alias; write the value out')
  // Keys are scalars too.
  if (events.length - count(yaml.EVENT_ID.POP) > 2 * JSON_VALUES_MAX) {
    throw new YamlFault(`the body has more than ${JSON_VALUES_MAX} values`)
  }
  const [root] = yaml.constructFromEvents(events, { source, schema: SCHEMA, json: true, maxAliases: 0 })
  return convert(root)
}

/** A scalar whose tag says that it is no text. */
class Literal {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** @param read what the tag makes of the text, as JSON would write it; null: what readers do not agree on. */
function defineLiteralTag(name: string, read: (text: string) => string | null): yaml.ScalarTagDefinition {
  return yaml.defineScalarTag<Literal>(`tag:yaml.org,2002:${name}`, {
    resolve: (source) => {
      const text = read(source)
      return text === null ? yaml.NOT_RESOLVED : new Literal(text)
    },
    identify: () => false,
  })
}

/** Any other tag on a scalar says nothing to slurmrestd; a prefix stands for all tags that begin with it. */
function defineTextTags(prefix: string): yaml.ScalarTagDefinition {
  return yaml.defineScalarTag<string>(prefix, {
    matchByTagPrefix: true,
    resolve: (source) => source,
    identify: () => false,
  })
}

/** slurmrestd writes tags itself, and reads them (22.05 refuses `!!null`, measured). A mapping is a Map. */
const SCHEMA = new yaml.Schema([
  yaml.strTag,
  yaml.seqTag,
  yaml.realMapTag,
  defineLiteralTag('null', (text) => (/^(?:null|~|)$/i.test(text) ? 'null' : null)),
  defineLiteralTag('bool', (text) => (/^(?:true|false)$/i.test(text) ? text.toLowerCase() : null)),
  defineLiteralTag('int', (text) => (/^(?:0|-?[1-9]\d{0,17})$/.test(text) ? text : null)),
  defineLiteralTag('float', readFloat),
  defineTextTags('!'),
  defineTextTags('tag:'),
])

function readFloat(text: string): string | null {
  if (!/^-?\d{1,20}(?:\.\d{1,20})?(?:[eE][-+]?\d{1,2})?$/.test(text)) return null
  return /[.eE]/.test(text) ? text : `${text}.0`
}

/** Recursive: the depth is capped. */
function convert(value: unknown): JsonValue {
  if (Array.isArray(value)) return { type: 'array', items: value.map(convert) }
  if (value instanceof Literal) return { type: 'literal', text: value.text }
  if (!(value instanceof Map)) return { type: 'string', value: checkText(value) }
  const members = new Map<string, JsonValue>()
  for (const [key, member] of value) {
    // 22.05 drops a value under an empty key, the others keep it (measured).
    if (typeof key !== 'string' || key === '')
      throw new YamlFault('the body has a key that is empty or no text')
    members.set(checkText(key), convert(member))
  }
  return { type: 'object', members }
}

/** C code upstream ends a text at NUL, and libyaml has no half of a surrogate pair, however they were escaped. */
function checkText(value: unknown): string {
  const text = typeof value === 'string' ? value : ''
  if (text.includes('\0')) throw new YamlFault('a text in the body contains NUL')
  if (/\p{Surrogate}/u.test(text)) throw new YamlFault('a text in the body contains half a surrogate pair')
  return text
}

function problem(text: string): JsonProblem {
  return { type: 'problem', text }
}
