/**
 * Judges one field of an API token's job description: whether its name is open in this API version, and where a value
 * could reach past the job itself, the value too. Edits nothing; the account is confined in `job-document.ts`.
 */

import { formatVersion } from '../operation.ts'
import {
  DENIED_JOB_FIELDS,
  DENIED_JOB_FLAGS,
  findJobFieldVersions,
  isJobField,
  JOB_FLAGS,
  KILL_WARNING_FLAGS,
  type VersionRange,
} from '../policy/job-fields.ts'
import { refuse, type Refusal } from '../refusal.ts'
import { showName } from './field-name.ts'
import type { JsonObject, JsonValue } from './json-document.ts'

export type JobDocumentKind = 'submission' | 'update'

/** @param place where the description stands, as callers write it: `job`, `jobs[1]`; empty: top level. */
export function checkJobFields(
  description: JsonObject,
  place: string,
  kind: JobDocumentKind,
  version: number,
): Refusal | null {
  for (const [name, value] of description.members) {
    const shown = showField(place, name)
    const refusal = checkName(name, shown, version) ?? checkValue(name, value, shown, kind)
    if (refusal !== null) return refusal
  }
  return null
}

/** Counts as left out (measured). */
export function isNull(value: JsonValue): boolean {
  return value.type === 'literal' && value.text === 'null'
}

/** @param place as in {@link checkJobFields}. */
export function showField(place: string, name: string): string {
  if (place === '') return showName(name, 'a field')
  const shown = showName(name, '')
  return shown === '' ? `a field of "${place}"` : `"${place}.${name}"`
}

/** Exact names: 22.05 folds case (`strtolower` before its look-up), and a folded name is in no list. */
function checkName(name: string, shown: string, version: number): Refusal | null {
  if (isJobField(name, version)) return null
  return refuse('job_field_not_allowed', { description: `${shown} ${explainName(name, version)}` })
}

function explainName(name: string, version: number): string {
  const reason = DENIED_JOB_FIELDS.get(name)
  if (reason !== undefined) return `is not open to API tokens: ${reason}; leave it out`
  const ranges = findJobFieldVersions(name)
  const own = formatVersion(version)
  if (ranges.length > 0) {
    return `is no field of a job description in ${own}; it belongs to ${ranges.map(showRange).join(' and ')}`
  }
  if (isJobField(name.toLowerCase(), version)) return 'is not known; field names are in lower case'
  return `is no field of a job description that is open to API tokens in ${own}; see /openapi/v3`
}

function showRange([since, until]: VersionRange): string {
  return since === until ? formatVersion(since) : `${formatVersion(since)} to ${formatVersion(until)}`
}

/**
 * slurmrestd makes strings of numbers and lists of strings where it wants the other (24.11 `data_convert_type`), so the
 * fields that are judged by value have to be of their own type.
 */
function checkValue(name: string, value: JsonValue, shown: string, kind: JobDocumentKind): Refusal | null {
  switch (name) {
    case 'account':
    case 'script':
      return checkString(value, shown)
    case 'dependency':
      return checkString(value, shown) ?? checkDependency(value, shown)
    case 'flags':
      return checkFlags(value, shown, JOB_FLAGS)
    case 'kill_warning_flags':
      return checkFlags(value, shown, KILL_WARNING_FLAGS)
    case 'array':
      return checkString(value, shown) ?? (kind === 'update' ? checkThrottle(value, shown) : null)
    default:
      return null
  }
}

/** Null counts as left out (measured). */
export function checkString(value: JsonValue, shown: string): Refusal | null {
  if (value.type === 'string' || isNull(value)) return null
  return refuse('job_malformed', { description: `${shown} is not a string` })
}

/** sbatch(1) --dependency. `expand:` is not among them: it makes this job's resources part of another job. */
const DEPENDENCIES: ReadonlySet<string> = new Set(
  'after afterany afterburstbuffer aftercorr afternotok afterok singleton'.split(' '),
)

/** By the words in it, in any case and however they are spaced or joined: the rest is job ids and separators. */
function checkDependency(value: JsonValue, shown: string): Refusal | null {
  if (value.type !== 'string') return null
  const words = value.value.toLowerCase().match(/[\p{L}_]+/gu) ?? []
  if (words.every((word) => DEPENDENCIES.has(word))) return null
  return refuse('job_field_not_allowed', {
    description: `${shown} may be made of ${[...DEPENDENCIES].join(', ')}; others, such as expand, join another job`,
  })
}

/** slurmrestd takes a list of flags, or one flag as a string, in any case (24.11 `_parse_flag`). */
function checkFlags(value: JsonValue, shown: string, allowed: ReadonlySet<string>): Refusal | null {
  if (isNull(value)) return null
  const items = value.type === 'array' ? value.items : [value]
  for (const item of items) {
    if (item.type !== 'string') {
      return refuse('job_malformed', { description: `${shown} is not a list of strings` })
    }
    if (!allowed.has(item.value)) return refuseFlag(item.value, shown, allowed)
  }
  return null
}

function refuseFlag(flag: string, shown: string, allowed: ReadonlySet<string>): Refusal {
  const reason = DENIED_JOB_FLAGS.get(flag)
  const list = `open to API tokens are ${[...allowed].join(', ')}`
  const text = reason === undefined ? `${shown}: ${list}` : `${shown}: ${flag} is closed: ${reason}; ${list}`
  return refuse('job_field_not_allowed', { description: text })
}

/** An update's `array` is how many tasks may run at once (scontrol(1) ArrayTaskThrottle): of a list, Slurm reads the first number. */
function checkThrottle(value: JsonValue, shown: string): Refusal | null {
  if (value.type !== 'string' || /^\d{1,9}$/.test(value.value)) return null
  return refuse('job_malformed', {
    description: `${shown} of an update is how many tasks may run at once, in decimal digits`,
  })
}
