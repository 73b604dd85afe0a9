/**
 * Looks for what is known to end or to stall a daemon in a document of any caller: values that crash it, and sizes that
 * keep it from answering everybody else. Edits nothing.
 */

import type { Operation } from '../operation.ts'
import { JOB_COMPONENTS_MAX, JOB_ID_MAX, JOB_PART_MAX } from '../limits.ts'
import { findForm } from './document-form.ts'
import { showName } from './field-name.ts'
import { countHosts, HOST_KEYS } from './host-list.ts'
import type { JsonValue } from './json-document.ts'
import { findCrasher, readScalar, type Place } from './known-crashers.ts'

/** @returns words for the caller; null: nothing. */
export function findHarm(
  document: JsonValue,
  operation: Pick<Operation, 'route' | 'version'>,
): string | null {
  // Every route takes an object; in YAML, a top-level text ends slurmrestd 22.05.
  if (document.type !== 'object') return 'the body must be an object'
  return (
    judgePlaces(document, operation) ??
    judgeComponents(document, operation) ??
    judgeJobChange(document, operation)
  )
}

/**
 * slurmrestd looks up list items and members one after the other: 20,000 in one take it 7 to 27 s, 100,000 more than a
 * minute, on all three releases. So the squares of all sizes are summed up: one list of 10,000 (about 2 s), or
 * many short ones.
 */
const SIZE_SQUARES_MAX = 10_000 ** 2

/** slurmctld looks up and logs each unknown host, at 5,000 to 40,000 a second, and answers nobody meanwhile. */
const HOSTS_MAX = 10_000

/** Goes through the document without recursion. @returns what is wrong; null: nothing. */
function judgePlaces(
  document: JsonValue,
  { route, version }: Pick<Operation, 'route' | 'version'>,
): string | null {
  const form = findForm(route.template)
  const areIdsListed = route.body === 'kill-list' || route.body === 'requeue-list'
  const open: Place[] = [{ value: document, key: '', isItem: false, depth: 0, isInStructure: true }]
  let sizeSquares = 0
  let hostsCount = 0
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    const { value, key } = place
    const words = findCrasher(place, version, form) ?? judgeText(place, areIdsListed)
    if (words !== null) return `${showName(key, 'the body')} ${words}`
    if (value.type === 'string' && HOST_KEYS.has(key)) hostsCount += countHosts(value.value)
    if (hostsCount > HOSTS_MAX) return `${showName(key, 'the body')} names more than ${HOSTS_MAX} hosts`
    const size = pushContent(place, form.structures, open)
    sizeSquares += size ** 2
    if (sizeSquares > SIZE_SQUARES_MAX) return `${showName(key, 'the body')} has too many values`
  }
  return null
}

/** @returns how many values there are in it. */
function pushContent(place: Place, structures: ReadonlySet<string>, open: Place[]): number {
  const { value, key, isItem, isInStructure } = place
  const depth = place.depth + 1
  if (value.type === 'array') {
    // A list in a list is no structure's.
    const areInStructure = isInStructure && !isItem
    for (const item of value.items)
      open.push({ value: item, key, isItem: true, depth, isInStructure: areInStructure })
    return value.items.length
  }
  if (value.type !== 'object') return 0
  const areInStructure = isInStructure && (key === '' || structures.has(key))
  for (const [name, member] of value.members) {
    open.push({ value: member, key: name.toLowerCase(), isItem: false, depth, isInStructure: areInStructure })
  }
  return value.members.size
}

function judgeText({ value, key, isItem }: Place, areIdsListed: boolean): string | null {
  const text = readScalar(value)
  if (text === null) return null
  // No MaxArraySize is above 4,000,001 (slurm.conf(5)).
  if (key === 'array' && /\d{8}/.test(text.replace(/%.*$/, ''))) return 'has a task number that is too high'
  if (key === 'jobs' && areIdsListed && isItem && !isListedId(text)) return 'has an item that is not a job id'
  return null
}

/**
 * `N`, `N_T`, `N+C`, `N_[1-3]`, `N_*`, each with a step or not; 26.05's `s…`. Anything else is some other job for some
 * version. 26.05: task 4294967295 of an array that exists ends slurmctld.
 */
function isListedId(text: string): boolean {
  if (/^s[0-9A-Za-z]{1,20}$/.test(text)) return true
  const form =
    /^([1-9]\d{0,9})(?:_\*|_\[[\d,:%-]{1,1000}\]|[_+](0|[1-9]\d{0,9}))?(?:\.[A-Za-z0-9_+]{1,20})?$/.exec(text)
  return form !== null && Number(form[1]) <= JOB_ID_MAX && Number(form[2] ?? 0) <= JOB_PART_MAX
}

/** 24.11 and 26.05 refuse more than 128 components; 22.05 takes any number. */
function judgeComponents(
  document: JsonValue,
  { route }: Pick<Operation, 'route' | 'version'>,
): string | null {
  if (route.body !== 'submission' || document.type !== 'object') return null
  const jobs = document.members.get('jobs')
  const isTooLong = jobs?.type === 'array' && jobs.items.length > JOB_COMPONENTS_MAX
  return isTooLong ? `"jobs" has more than ${JOB_COMPONENTS_MAX} components` : null
}

/** 26.05: a change of accounting jobs without a list of them, or without what to change, ends slurmrestd. */
function judgeJobChange(document: JsonValue, { route }: Pick<Operation, 'route' | 'version'>): string | null {
  if (route.template !== '/slurmdb/jobs' || document.type !== 'object') return null
  const isWhole =
    document.members.get('job_id_list')?.type === 'array' &&
    document.members.get('job_rec')?.type === 'object'
  return isWhole ? null : 'the body must have a list "job_id_list" and an object "job_rec"'
}
