/**
 * The values that are known to end or to stall a daemon, each with the release it was measured on. Names fields, never
 * values. A rule looks at one place of a document; what only counts up is in `harmful-document.ts`. v0.0.39 is served by
 * none of the three releases: it is taken to be as v0.0.40 is.
 */

import type { DocumentForm } from './document-form.ts'
import type { JsonValue } from './json-document.ts'

/** One value of a document and where it stands. */
export interface Place {
  readonly value: JsonValue
  /** Of the member it is, or is an item of; in lower case, because 22.05 folds case. Empty at the top. */
  readonly key: string
  readonly isItem: boolean
  /** 0 at the top. */
  readonly depth: number
  /** True when everything around it is one of slurmrestd's own structures, not a field that wants text or a number. */
  readonly isInStructure: boolean
  /** It, or what it stands in, is expanded as a host list. */
  readonly isHostList: boolean
}

/** @returns what is wrong with it, to follow the field's name; null: nothing known. */
export function findCrasher(place: Place, version: number, form: DocumentForm): string | null {
  for (const rule of RULES) {
    if (rule.since > version || version > rule.until) continue
    if (rule.keys !== null && !rule.keys.has(place.key)) continue
    if (rule.isCrasher(place, form)) return rule.words
  }
  return null
}

interface Rule {
  /** The NN of v0.0.NN, both inclusive. */
  readonly since: number
  readonly until: number
  /** null: every field. */
  readonly keys: ReadonlySet<string> | null
  readonly words: string
  isCrasher(place: Place, form: DocumentForm): boolean
}

const RULES: readonly Rule[] = [
  {
    // 24.11 and 26.05: a value that does not fit its field becomes a printf format: `"nice":"%s%n"` ends slurmrestd.
    since: 39,
    until: Infinity,
    keys: null,
    words: 'has a percent sign where slurmrestd does not read text',
    isCrasher: (place, form) => mentionsPercent(place) && !isText(place, form),
  },
  {
    // 24.11: a group that is not a number ends slurmrestd, even the name of one that exists; so do `e`, `-` and `1.2.3`.
    since: 39,
    until: 42,
    keys: new Set(['group_id']),
    words: 'must be a number',
    isCrasher: ({ value }) => !/^(null|\d{0,10})$/.test(readScalar(value) ?? 'container'),
  },
  {
    // 24.11: an empty one is stored, and from then on every listing of the jobs, by anybody, ends slurmrestd.
    since: 39,
    until: 42,
    keys: new Set(['standard_error', 'standard_input', 'standard_output']),
    words: 'must not be empty; leave it out',
    isCrasher: ({ value }) => value.type === 'string' && value.value === '',
  },
  {
    // 24.11 and 26.05, accounting: a QOS that is an object, or in a list empty or null, ends slurmrestd, before any permission.
    since: 39,
    until: Infinity,
    keys: new Set(['qos', 'qoslevel', 'defaultqos', 'list']),
    words: 'has a QOS that is neither a name nor a number',
    isCrasher: ({ value, isItem, depth }, { isAccounting }) =>
      isAccounting && depth > 2 && (value.type === 'object' || (isItem && isEmptyScalar(value))),
  },
  {
    // 24.11 and 26.05, accounting: usage in a wckey ends slurmrestd, before any permission.
    since: 39,
    until: Infinity,
    keys: new Set(['accounting']),
    words: 'has usage in it, which is not for writing; leave it out',
    isCrasher: ({ value, isItem }, { isAccounting }) =>
      isAccounting && isItem && value.type === 'object' && value.members.size > 0,
  },
  {
    // 22.05: every argv but an empty list ends slurmrestd.
    since: 36,
    until: 38,
    keys: new Set(['argv']),
    words: 'ends this version of slurmrestd; put the arguments into the script',
    isCrasher: ({ value, isItem }) => isItem || !isEmptyContainer(value),
  },
  {
    // 22.05: an update with an empty environment ends slurmrestd.
    since: 36,
    until: 38,
    keys: new Set(['environment']),
    words: 'must not be empty; leave it out',
    isCrasher: ({ value, isItem }) => !isItem && isEmptyContainer(value),
  },
  {
    // 22.05: any text or number ends slurmrestd; lists and objects it refuses.
    since: 36,
    until: 38,
    keys: new Set(['batch_features']),
    words: 'ends this version of slurmrestd; leave it out',
    isCrasher: ({ value }) => readScalar(value) !== null,
  },
  {
    // 22.05, v0.0.36 only: the fields for GPUs end slurmrestd.
    since: 36,
    until: 36,
    keys: new Set([
      ...[
        'cpus_per_gpu',
        'gres',
        'gpus',
        'gpus_per_node',
        'gpus_per_socket',
        'gpus_per_task',
        'memory_per_gpu',
      ],
    ]),
    words: 'ends slurmrestd in this version of the API; use a newer one',
    isCrasher: ({ value }) => (readScalar(value) ?? '') !== '',
  },
  {
    // 26.05, an administrator's new node: null ends slurmctld.
    since: 44,
    until: Infinity,
    keys: new Set(['node_conf']),
    words: 'must be text',
    isCrasher: ({ value }) => value.type !== 'string',
  },
  {
    // 24.11 and 26.05, node updates: -1, 4294967295 and anything above end slurmctld.
    since: 39,
    until: Infinity,
    keys: new Set(['cpu_bind']),
    words: 'must be a number below 1000000000',
    isCrasher: ({ value }) => !/^(null|\d{0,9})$/.test(readScalar(value) ?? 'container'),
  },
]

function isText({ value, key, isItem, isInStructure }: Place, form: DocumentForm): boolean {
  if (!isInStructure || value.type !== 'string') return false
  return (isItem ? form.textListKeys : form.textKeys).has(key)
}

/** Keys count with the object that has them. */
function mentionsPercent({ value }: Place): boolean {
  if (value.type === 'string') return value.value.includes('%')
  return value.type === 'object' && [...value.members.keys()].some((key) => key.includes('%'))
}

/** As YAML has no types, numbers are looked at as text. @returns null for a list or an object. */
export function readScalar(value: JsonValue): string | null {
  if (value.type === 'string') return value.value
  return value.type === 'literal' ? value.text : null
}

function isEmptyScalar(value: JsonValue): boolean {
  return value.type === 'literal' ? value.text === 'null' : value.type === 'string' && value.value === ''
}

function isEmptyContainer(value: JsonValue): boolean {
  if (value.type === 'object') return value.members.size === 0
  return value.type === 'array' && value.items.length === 0
}
