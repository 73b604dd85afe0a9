/**
 * Looks for what is known to end or to stall a daemon in a document of any caller: values that crash it, and sizes that
 * keep it from answering everybody else. Edits nothing.
 */

import type { Operation } from '../operation.ts'
import { HOSTS_MAX, JOB_COMPONENTS_MAX, JOB_ID_MAX, JOB_PART_MAX, SIZE_SQUARES_MAX } from '../limits.ts'
import { findForm, type DocumentForm } from './document-form.ts'
import { showName } from './field-name.ts'
import { countHosts } from './host-list.ts'
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

/** Goes through the document without recursion. @returns what is wrong; null: nothing. */
function judgePlaces(
  document: JsonValue,
  { route, version }: Pick<Operation, 'route' | 'version'>,
): string | null {
  const form = findForm(route.template)
  const areIdsListed = route.body === 'kill-list' || route.body === 'requeue-list'
  const open: Place[] = [
    { value: document, key: '', isItem: false, depth: 0, isInStructure: true, isHostList: false },
  ]
  let sizeSquares = 0
  let hostsCount = 0
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    const { value, key } = place
    const words = findCrasher(place, version, form) ?? judgeText(place, areIdsListed)
    if (words !== null) return `${showName(key, 'the body')} ${words}`
    if (place.isHostList) hostsCount += countHostsIn(value)
    if (!(hostsCount <= HOSTS_MAX)) return `${showName(key, 'the body')} names more than ${HOSTS_MAX} hosts`
    const size = pushContent(place, form, open)
    sizeSquares += size ** 2
    if (sizeSquares > SIZE_SQUARES_MAX) return `${showName(key, 'the body')} has too many values`
  }
  return null
}

/** @returns how many values there are in it. */
function pushContent(place: Place, form: DocumentForm, open: Place[]): number {
  const { value, key, isItem, isInStructure, isHostList } = place
  const depth = place.depth + 1
  if (value.type === 'array') {
    // A list in a list is no structure's.
    const areInStructure = isInStructure && !isItem
    for (const item of value.items) {
      open.push({ value: item, key, isItem: true, depth, isInStructure: areInStructure, isHostList })
    }
    return value.items.length
  }
  if (value.type !== 'object') return 0
  const areInStructure = isInStructure && (key === '' || form.structures.has(key))
  for (const [name, member] of value.members) {
    const memberKey = name.toLowerCase()
    open.push({
      value: member,
      key: memberKey,
      isItem: false,
      depth,
      isInStructure: areInStructure,
      // slurmrestd makes one text of an object where it wants a list.
      isHostList: isHostList || form.hostKeys.has(memberKey),
    })
  }
  return value.members.size
}

/** Keys count with the object that has them. */
function countHostsIn(value: JsonValue): number {
  if (value.type === 'string') return countHosts(value.value)
  if (value.type !== 'object') return 0
  return [...value.members.keys()].reduce((total, key) => total + countHosts(key), 0)
}

function judgeText({ value, key, isItem }: Place, areIdsListed: boolean): string | null {
  const text = readScalar(value)
  if (key === 'jobs' && areIdsListed) return judgeListedId(text, value.type === 'array' && !isItem)
  if (text === null || key !== 'array') return null
  const end = text.indexOf('%')
  return hasHighTask(end === -1 ? text : text.slice(0, end)) ? 'has a task number that is too high' : null
}

/** A list of ids, or one: what else there may be is some other job for some version. */
function judgeListedId(text: string | null, isList: boolean): string | null {
  return isList || (text !== null && isListedId(text)) ? null : 'has an item that is not a job id'
}

/** No MaxArraySize is above 4,000,001 (slurm.conf(5)). */
function hasHighTask(text: string): boolean {
  return /\d{8}/.test(text)
}

/**
 * `N`, `N_T`, `N+C`, `N_[1-3]`, `N_*`, each with a step or not; 26.05's `s…`. Anything else is some other job for some
 * version. 26.05: task 4294967295 of an array that exists ends slurmctld.
 */
function isListedId(text: string): boolean {
  if (/^s[0-9A-Za-z]{1,20}$/.test(text)) return true
  const form =
    /^([1-9]\d{0,9})(?:_\*|_\[([\d,:%-]{1,1000})\]|[_+](0|[1-9]\d{0,9}))?(?:\.[A-Za-z0-9_+]{1,20})?$/.exec(
      text,
    )
  if (form === null || hasHighTask(form[2] ?? '')) return false
  return Number(form[1]) <= JOB_ID_MAX && Number(form[3] ?? 0) <= JOB_PART_MAX
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
