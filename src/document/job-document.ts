/**
 * Judges and completes the job descriptions that API tokens send: only listed fields, and for a restricted token its
 * own account in every component. Edits the parsed tree; the client's own text never goes upstream.
 */

import { JOB_FIELDS } from '../policy/job-fields.ts'
import type { JsonValue } from './json-document.ts'
import { JOB_COMPONENTS_MAX } from '../limits.ts'
import { refuse, type Refusal } from '../refusal.ts'

type JsonObject = Extract<JsonValue, { type: 'object' }>

/**
 * `{script?, job | jobs}`: the account is set in every component, because one that is left out means the user's
 * default account, which may be another (measured).
 * @param account lower case; null: any.
 * @returns null: nothing to refuse; the document was edited in place.
 */
export function confineSubmit(document: JsonValue, account: string | null): Refusal | null {
  if (document.type !== 'object') return refuse('job_malformed')
  for (const key of document.members.keys()) {
    if (!SUBMIT_KEYS.has(key)) return refuseField(key)
  }
  const components = readComponents(document)
  if (components === null) return refuse('job_malformed')
  for (const component of components) {
    const refusal = checkFields(component) ?? confineAccount(component, account, 'insert')
    if (refusal !== null) return refusal
  }
  return null
}

/** The job's new properties at top level. The job itself has to be checked separately. */
export function confineUpdate(document: JsonValue, account: string | null): Refusal | null {
  if (document.type !== 'object') return refuse('job_malformed')
  return checkFields(document) ?? confineAccount(document, account, 'leave-out')
}

const SUBMIT_KEYS: ReadonlySet<string> = new Set(['script', 'job', 'jobs'])

/** Either `job` or `jobs`: which one counts when both are there differs by version. */
function readComponents(document: JsonObject): readonly JsonObject[] | null {
  const job = document.members.get('job')
  const jobs = document.members.get('jobs')
  if (job !== undefined && jobs === undefined) return job.type === 'object' ? [job] : null
  if (job !== undefined || jobs?.type !== 'array') return null
  const components = jobs.items.filter((item) => item.type === 'object')
  const isPlausible = components.length > 0 && components.length <= JOB_COMPONENTS_MAX
  return isPlausible && components.length === jobs.items.length ? components : null
}

/** Exact names: 22.05 folds case, and a folded name is not in the list. */
function checkFields(component: JsonObject): Refusal | null {
  for (const [field, value] of component.members) {
    if (!JOB_FIELDS.has(field)) return refuseField(field)
    // `expand:` makes this job's resources part of another job.
    if (field === 'dependency' && mentionsExpand(value)) return refuseField(field)
  }
  return null
}

function mentionsExpand(value: JsonValue): boolean {
  return value.type !== 'string' || value.value.toLowerCase().includes('expand')
}

/** Account names compare lower-cased; null and empty count as left out (measured). */
function confineAccount(
  component: JsonObject,
  account: string | null,
  whenLeftOut: 'insert' | 'leave-out',
): Refusal | null {
  if (account === null) return null
  const given = component.members.get('account')
  const isLeftOut =
    given === undefined ||
    (given.type === 'literal' && given.text === 'null') ||
    (given.type === 'string' && given.value === '')
  if (!isLeftOut) {
    if (given.type !== 'string') return refuse('job_malformed')
    if (given.value.toLowerCase() !== account) return refuse('account_mismatch')
  }
  if (isLeftOut && whenLeftOut === 'leave-out') component.members.delete('account')
  else component.members.set('account', { type: 'string', value: account })
  return null
}

/** The name is shown only where it looks like one: a caller's mistake, not a place to smuggle text into an answer. */
function refuseField(field: string): Refusal {
  const name = /^[A-Za-z0-9_]{1,64}$/.test(field) ? `"${field}"` : 'one of its fields'
  return refuse('job_field_not_allowed', {
    description: `the job description's ${name} is not open to API tokens; leave it out`,
  })
}
