/**
 * Judges the bodies of `DELETE jobs` and `POST jobs/requeue` that API tokens send. A restricted token has to list its
 * jobs one by one: any filter without a list reaches jobs of every account of its user (measured).
 */

import { isSameAccount } from '../account-name.ts'
import { JOB_LIST_MAX } from '../limits.ts'
import { isJobId } from '../operation.ts'
import { FLAGS_WITHIN_JOB } from '../policy/kill-flags.ts'
import { SIGNAL } from '../policy/query-rules.ts'
import { refuse, type Refusal } from '../refusal.ts'
import { showName } from './field-name.ts'
import { isNull } from './job-field-rules.ts'
import { readScalar } from './known-crashers.ts'
import type { JsonObject, JsonValue } from './json-document.ts'

export type JobListShape = 'kill-list' | 'requeue-list'

/**
 * Edits the document in place: ids become strings, each once; a restricted token's account becomes a filter.
 * @param account lower case; null: any.
 * @returns the listed ids, canonical; whoever is restricted has to have each of them checked.
 */
export function confineJobList(
  document: JsonValue,
  shape: JobListShape,
  account: string | null,
): readonly string[] | Refusal {
  if (document.type !== 'object') return refuse('job_malformed', { description: 'the body is not an object' })
  const refusal =
    checkKeys(document, shape, account !== null) ??
    checkFlags(document, account !== null) ??
    checkSignal(document.members.get('signal'))
  if (refusal !== null) return refusal
  const ids = readIds(document.members.get('jobs'), account !== null)
  if ('kind' in ids) return ids
  if (ids.length > 0) {
    const items = ids.map((value) => ({ type: 'string' as const, value }))
    document.members.set('jobs', { type: 'array', items })
  }
  if (account === null) return ids
  if (ids.length === 0) return refuseWithoutList()
  return (shape === 'kill-list' ? setAccount(document, account) : null) ?? ids
}

/** Source: the schemas kill_jobs_msg of v0.0.40 to v0.0.45, jobs_requeue of v0.0.45. */
const KEYS: Readonly<Record<JobListShape, ReadonlySet<string>>> = {
  'kill-list': new Set([
    'account',
    'flags',
    'job_name',
    'job_state',
    'jobs',
    'nodes',
    'partition',
    'qos',
    'reservation',
    'signal',
    'user_id',
    'user_name',
    'wckey',
  ]),
  'requeue-list': new Set(['flags', 'jobs']),
}
const RESTRICTED_KEYS: ReadonlySet<string> = new Set(['account', 'flags', 'jobs', 'signal'])

const LIST_HINT = 'list the jobs: {"jobs": ["123", "124"]}'

/** Where a restricted token gives no list of jobs. */
export function refuseWithoutList(): Refusal {
  return refuse('operation_closed', {
    description: `a token that is restricted to one account names every job itself; ${LIST_HINT}`,
  })
}

function checkKeys(document: JsonObject, shape: JobListShape, isRestricted: boolean): Refusal | null {
  for (const key of document.members.keys()) {
    const name = showName(key, 'one of its keys')
    if (!KEYS[shape].has(key)) {
      return refuse('job_field_not_allowed', { description: `the body's ${name} is not open to API tokens` })
    }
    if (isRestricted && !RESTRICTED_KEYS.has(key)) {
      return refuse('operation_closed', {
        description: `the filter ${name} is not open to a token that is restricted to one account; ${LIST_HINT}`,
      })
    }
  }
  return null
}

/** Flags are an array of names; any other form would be the daemon's guess. */
function checkFlags(document: JsonObject, isRestricted: boolean): Refusal | null {
  const flags = document.members.get('flags')
  if (flags === undefined) return null
  if (flags.type !== 'array') return refuse('job_malformed', { description: '"flags" is not an array' })
  for (const flag of flags.items) {
    if (flag.type !== 'string') return refuse('job_malformed', { description: '"flags" holds names only' })
    if (isRestricted && !FLAGS_WITHIN_JOB.has(flag.value)) {
      return refuse('job_field_not_allowed', {
        description: `of "flags" a token that is restricted to one account may use: ${[...FLAGS_WITHIN_JOB].join(', ')}`,
      })
    }
  }
  return null
}

/** What a query may say: of others 24.11 and 26.05 answer 200 with an error number of 0, and signal nothing. */
function checkSignal(signal: JsonValue | undefined): Refusal | null {
  if (signal === undefined || isNull(signal)) return null
  const text = readScalar(signal)
  return text !== null && SIGNAL.isGood(text)
    ? null
    : refuse('job_malformed', { description: `"signal" must be ${SIGNAL.words}` })
}

/** Strings, or numbers as clients like to send them; each id once. */
function readIds(jobs: JsonValue | undefined, isRestricted: boolean): readonly string[] | Refusal {
  if (jobs === undefined) return []
  if (jobs.type !== 'array')
    return refuse('job_malformed', { description: '"jobs" is not an array of job ids' })
  const ids = new Set<string>()
  for (const item of jobs.items) {
    const id = item.type === 'string' ? item.value : item.type === 'literal' ? item.text : ''
    if (!isJobId(id, isRestricted)) {
      const words = isRestricted ? 'whole jobs, in decimal without leading zeros' : 'canonical job ids'
      return refuse('job_malformed', { description: `"jobs" has to hold ${words}` })
    }
    ids.add(id)
  }
  return ids.size <= JOB_LIST_MAX
    ? [...ids]
    : refuse('job_malformed', { description: `"jobs" may list ${JOB_LIST_MAX} jobs at most` })
}

/** slurmctld ANDs its filters (measured): a job that left the account after it was checked is spared. */
function setAccount(document: JsonObject, account: string): Refusal | null {
  const given = document.members.get('account')
  const isLeftOut = given === undefined || isNull(given) || (given.type === 'string' && given.value === '')
  if (!isLeftOut && (given.type !== 'string' || !isSameAccount(given.value, account))) {
    return refuse('account_mismatch')
  }
  document.members.set('account', { type: 'string', value: account })
  return null
}
