/**
 * Judges and completes the job descriptions that API tokens send: only listed fields of this API version, and for a
 * restricted token its own account in every component. Edits the parsed tree; the client's own text never goes upstream.
 */

import { isSameAccount } from '../account-name.ts'
import { JOB_COMPONENTS_MAX } from '../limits.ts'
import { DENIED_JOB_FIELDS } from '../policy/job-fields.ts'
import { refuse, type Refusal } from '../refusal.ts'
import { checkJobFields, checkString, isNull, showField } from './job-field-rules.ts'
import type { JsonObject, JsonValue } from './json-document.ts'

/**
 * `{script?, job | jobs}`: the account is set in every component, because one that is left out means the user's
 * default account, which may be another (measured).
 * @param account lower case; null: any.
 * @param version API version, v0.0.NN.
 * @returns null: nothing to refuse; the document was edited in place.
 */
export function confineSubmit(document: JsonValue, account: string | null, version: number): Refusal | null {
  if (document.type !== 'object') return refuseShape('the body is not an object')
  const outer = checkSubmission(document)
  if (outer !== null) return outer
  const components = readComponents(document)
  if ('kind' in components) return components
  for (const { place, description } of components) {
    dropNullFields(description)
    const refusal =
      checkJobFields(description, place, 'submission', version) ??
      confineAccount(description, place, account, 'insert')
    if (refusal !== null) return refusal
  }
  return null
}

/** The job's new properties at top level. The job itself has to be checked separately. */
export function confineUpdate(document: JsonValue, account: string | null, version: number): Refusal | null {
  if (document.type !== 'object') return refuseShape('the body is not an object')
  dropNullFields(document)
  return checkJobFields(document, '', 'update', version) ?? confineAccount(document, '', account, 'leave-out')
}

/** Null counts as left out (measured), and generated clients write all the fields that they know. */
function dropNullFields({ members }: JsonObject): void {
  for (const [name, value] of members) {
    if (isNull(value) && DENIED_JOB_FIELDS.has(name)) members.delete(name)
  }
}

const SUBMIT_KEYS: ReadonlySet<string> = new Set(['script', 'job', 'jobs'])

function checkSubmission(document: JsonObject): Refusal | null {
  for (const [key, value] of document.members) {
    const shown = showField('', key)
    if (!SUBMIT_KEYS.has(key)) {
      return refuse('job_field_not_allowed', {
        description: `${shown} does not belong beside the job; a submission has "script" and "job" or "jobs"`,
      })
    }
    const refusal = key === 'script' ? checkString(value, shown) : null
    if (refusal !== null) return refusal
  }
  return null
}

interface Component {
  readonly place: string
  readonly description: JsonObject
}

/** Either `job` or `jobs`: which one counts when both are there differs by version. */
function readComponents(document: JsonObject): readonly Component[] | Refusal {
  const job = document.members.get('job')
  const jobs = document.members.get('jobs')
  if ((job === undefined) === (jobs === undefined)) {
    return refuseShape('a submission has either "job" or "jobs"')
  }
  if (job !== undefined) {
    return job.type === 'object'
      ? [{ place: 'job', description: job }]
      : refuseShape('"job" is not an object')
  }
  if (jobs?.type !== 'array') return refuseShape('"jobs" is not a list')
  if (jobs.items.length === 0) return refuseShape('"jobs" is empty')
  if (jobs.items.length > JOB_COMPONENTS_MAX) {
    return refuseShape(`"jobs" has more than ${JOB_COMPONENTS_MAX} components`)
  }
  const components: Component[] = []
  for (const [index, description] of jobs.items.entries()) {
    const place = `jobs[${index}]`
    if (description.type !== 'object') return refuseShape(`"${place}" is not an object`)
    components.push({ place, description })
  }
  return components
}

/** Account names compare lower-cased; null and empty count as left out (measured). Anything but a string was refused. */
function confineAccount(
  description: JsonObject,
  place: string,
  account: string | null,
  whenLeftOut: 'insert' | 'leave-out',
): Refusal | null {
  if (account === null) return null
  const given = description.members.get('account')
  const name = given?.type === 'string' ? given.value : ''
  if (name === '' && whenLeftOut === 'leave-out') {
    description.members.delete('account')
    return null
  }
  if (name !== '' && !isSameAccount(name, account)) {
    return refuse('account_mismatch', {
      description: `${showField(place, 'account')} is not the account that this API token may write for`,
    })
  }
  description.members.set('account', { type: 'string', value: account })
  return null
}

function refuseShape(description: string): Refusal {
  return refuse('job_malformed', { description: `${description}; see /openapi/v3` })
}
