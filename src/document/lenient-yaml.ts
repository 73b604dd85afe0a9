/**
 * Reads YAML as slurmrestd does: every scalar is text, merge keys are plain keys, of a key that stands twice the last
 * counts (measured on Slurm 22.05, 24.11 and 26.05). What the three read differently is refused: a second document
 * (22.05 takes the last, the others the first) and aliases (22.05 drops them, the others refuse).
 */

import * as yaml from 'js-yaml'
import { JSON_DEPTH_MAX, JSON_VALUES_MAX } from '../limits.ts'
import type { JsonProblem, JsonValue } from './json-document.ts'

/** @param bytes untrusted, already capped by the caller. */
export function parseLenientYaml(bytes: Uint8Array): JsonValue | JsonProblem {
  let text: string
  try {
    // libyaml wants UTF-8, with or without a byte order mark (measured).
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return problem('the body is not UTF-8')
  }
  // Behind a NUL nothing counts for libyaml (measured).
  const end = text.indexOf('\0')
  try {
    return readDocument(end === -1 ? text : text.slice(0, end))
  } catch (cause) {
    if (cause instanceof yaml.YAMLException) return problem('the body is not YAML that slurmrestd reads')
    throw cause
  }
}

/** The depth is capped while the events are read: 100,000 open brackets stall slurmrestd 24.11 and 26.05 for minutes. */
function readDocument(source: string): JsonValue | JsonProblem {
  const events = yaml.parseEvents(source, { maxDepth: JSON_DEPTH_MAX })
  const count = (type: yaml.EventId): number => events.filter((event) => event.type === type).length
  if (count(yaml.EVENT_ID.DOCUMENT) !== 1) return problem('the body must be one YAML document')
  if (count(yaml.EVENT_ID.ALIAS) > 0) return problem('the body has a YAML alias; write the value out')
  // Keys are scalars too.
  if (events.length - count(yaml.EVENT_ID.POP) > 2 * JSON_VALUES_MAX) {
    return problem(`the body has more than ${JSON_VALUES_MAX} values`)
  }
  const [root] = yaml.constructFromEvents(events, { source, schema: SCHEMA, json: true, maxAliases: 0 })
  return convert(root)
}

/** Whatever its tag, a scalar is text, a mapping a Map. The empty prefix matches every tag. */
const SCHEMA = new yaml.Schema([
  yaml.strTag,
  yaml.seqTag,
  yaml.realMapTag,
  yaml.defineScalarTag<string>('!', {
    matchByTagPrefix: true,
    resolve: (source) => source,
    identify: () => false,
  }),
  yaml.defineScalarTag<string>('tag:', {
    matchByTagPrefix: true,
    resolve: (source) => source,
    identify: () => false,
  }),
])

/** Recursive: the depth is capped. */
function convert(value: unknown): JsonValue {
  if (Array.isArray(value)) return { type: 'array', items: value.map(convert) }
  if (value instanceof Map) {
    const members = new Map<string, JsonValue>()
    // slurmrestd refuses a key that is no scalar.
    for (const [key, member] of value) {
      if (typeof key === 'string') members.set(key, convert(member))
    }
    return { type: 'object', members }
  }
  return { type: 'string', value: typeof value === 'string' ? value : '' }
}

function problem(text: string): JsonProblem {
  return { type: 'problem', text }
}
