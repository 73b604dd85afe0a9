/** Whether an answer is its request's own: whom it names, what it is about, which version and error it has. */

import { findHeader, findHeaders, type RawAnswer } from '../../support/raw-http.ts'
import { findNames } from './identities.ts'

/** What only this request's answer is. */
export interface Expected {
  readonly status: number
  /** The caller: no answer names anybody else. */
  readonly name: string
  /** The answer has to name the caller. */
  readonly isNamed: boolean
  /** The NN of v0.0.NN that slurmrestd answered in; null: the gate answered itself. */
  readonly version: number | null
  /** Ids of all jobs in the answer; null: there are none. */
  readonly jobs: readonly string[] | null
  /** null: the answer has no error. */
  readonly error: ExpectedError | null
}

export interface ExpectedError {
  /** `error_number` of Slurm's, or `error` of the gate's. */
  readonly code: number | string
  /** What `description` says that no other request's does. */
  readonly says: string
}

interface Parsed {
  readonly slurm_user?: string
  readonly request_id?: string
  readonly users?: readonly { readonly name: string }[]
  readonly jobs?: readonly {
    readonly job_id: number
    readonly user_name: string
    readonly comment: string
  }[]
  readonly errors?: readonly {
    readonly error_number: number
    readonly error: string
    readonly description: string
  }[]
}

/** @returns what is not as it has to be, in words; empty: it is this request's own answer. */
export function judge(answer: RawAnswer, expected: Expected): string[] {
  const text = answer.body.toString('utf8')
  const problems = judgeNames(text, expected)
  const say = (what: string, found: unknown, wanted: unknown): void => {
    if (found !== wanted) problems.push(`${what} is ${String(found)} instead of ${String(wanted)}`)
  }
  say('status', answer.status, expected.status)
  const version = expected.version === null ? null : `v0.0.${String(expected.version)}`
  say('X-Slurm-Api-Version', findHeader(answer, 'x-slurm-api-version'), version)
  say('data_parser', /"data_parser\\?\/(v0\.0\.\d+)"/.exec(text)?.[1] ?? null, version)
  const parsed = parse(text)
  if (parsed === null) return [...problems, `it is no JSON: ${text.slice(0, 200)}`]
  if (expected.isNamed && !findNames(text).has(expected.name)) problems.push('it does not name its caller')
  const id = findHeaders(answer, 'x-request-id').join()
  if (version === null && expected.error !== null) say('request_id', parsed.request_id, id)
  return [...problems, ...judgeJobs(parsed, expected), ...judgeError(parsed, expected)]
}

/** Also of an answer that was left in the middle. */
export function judgeNames(text: string, { name }: Pick<Expected, 'name'>): string[] {
  const others = [...findNames(text)].filter((found) => found !== name)
  return others.length === 0 ? [] : [`it names ${others.join(', ')}`]
}

function judgeJobs(parsed: Parsed, { name, jobs }: Expected): string[] {
  const found = parsed.jobs ?? []
  const ids = found.map(({ job_id: id }) => String(id)).sort()
  const wanted = [...(jobs ?? [])].sort()
  const problems =
    ids.join() === wanted.join() ? [] : [`it has jobs ${ids.join()} instead of ${wanted.join()}`]
  const isOwn = (job: (typeof found)[number]): boolean =>
    job.user_name === name &&
    (job.comment === '' || job.comment.startsWith(`${name} of ${String(job.job_id)} `))
  if (!found.every(isOwn)) problems.push('it has a job of somebody else, or what was written to another job')
  const users = (parsed.users ?? []).map((user) => user.name)
  if (users.some((user) => user !== name)) problems.push(`it has the users ${users.join()}`)
  if ((parsed.slurm_user ?? name) !== name) problems.push(`it is of ${String(parsed.slurm_user)}`)
  return problems
}

function judgeError({ errors = [] }: Parsed, { error }: Expected): string[] {
  const told = errors.map(({ error_number: number, error: code, description }) =>
    JSON.stringify([number, code, description]),
  )
  if (error === null) return told.length === 0 ? [] : [`it has the error ${told.join()}`]
  const [first] = errors
  const isOwn =
    errors.length === 1 &&
    (first?.error_number === error.code || first?.error === error.code) &&
    ` ${first.description} `.includes(error.says)
  return isOwn ? [] : [`it has the error ${told.join()} instead of ${JSON.stringify(error)}`]
}

function parse(text: string): Parsed | null {
  try {
    return JSON.parse(text) as Parsed
  } catch {
    return null
  }
}
