/**
 * Looks at the jobs a restricted token is about to change: every record of each (array tasks, components of a het job
 * and their leader) has to be in the token's account. Never cached; unknown and foreign jobs get the same answer.
 */

import { isSameAccount } from './account-name.ts'
import { readAll } from './byte-stream.ts'
import { JOB_CHECK_FRESH_MILLISECONDS, JOB_CHECK_MAX_BYTES } from './limits.ts'
import { formatVersion, isJobId } from './operation.ts'
import type { Clock } from './ports.ts'
import type { RestrictedToken } from './principal.ts'
import { Outage, refuse, type Refusal } from './refusal.ts'
import {
  isObject,
  isTokenRefused,
  isUnknownJob,
  parseSlurmAnswer,
  readSlurmErrors,
  type SlurmError,
} from './slurm-error.ts'
import type { SendUpstream } from './upstream-request.ts'

/**
 * @param version the API version that the write will use too.
 * @param jobIds canonical, of whole jobs.
 * @returns until when (Unix milliseconds) the write has to be on its way: every record was in the account.
 * @throws Outage when slurmrestd does not tell.
 */
export type JobCheck = (
  principal: RestrictedToken,
  version: number,
  jobIds: readonly string[],
) => Promise<{ readonly sendBefore: number } | Refusal>

export function createJobCheck(send: SendUpstream, now: Clock): JobCheck {
  return async function checkJobs(principal, version, jobIds) {
    const { account } = principal
    const sendBefore = now() + JOB_CHECK_FRESH_MILLISECONDS
    const seen = new Set<string>()
    const waiting = [...jobIds]
    for (let jobId = waiting.shift(); jobId !== undefined; jobId = waiting.shift()) {
      if (seen.has(jobId)) continue
      seen.add(jobId)
      if (now() > sendBefore) throw new Outage('job_check_stale', `${seen.size} jobs were looked at in time`)
      const records = await findJobRecords(send, principal, version, jobId)
      if (!areAllIn(records, account)) return refuseJob(account)
      waiting.push(...records.flatMap((record) => readLeader(record)))
    }
    return { sendBefore }
  }
}

type JobRecord = Readonly<Record<string, unknown>>

function areAllIn(records: readonly JobRecord[], account: string): boolean {
  return records.length > 0 && records.every((record) => isSameAccount(record['account'], account))
}

function refuseJob(account: string): Refusal {
  return refuse('account_mismatch', {
    description: `no such job in the Slurm account ${account}, the only one this API token may write to`,
  })
}

async function findJobRecords(
  send: SendUpstream,
  principal: RestrictedToken,
  version: number,
  jobId: string,
): Promise<readonly JobRecord[]> {
  const answer = await send(principal, {
    method: 'GET',
    target: `/slurm/${formatVersion(version)}/job/${jobId}`,
    accept: 'application/json',
    body: null,
    sendBefore: null,
  })
  const bytes = await readAll(answer.body, JOB_CHECK_MAX_BYTES)
  if (bytes === null) throw new Outage('job_check_failed', 'the job is too large to be checked')
  const { jobs, errors } = parseAnswer(bytes, answer.status)
  if (isTokenRefused(answer.status, errors)) {
    throw new Outage('slurm_token_refused', `slurmrestd refused the gate's Slurm token with ${answer.status}`)
  }
  if (isUnknownJob(errors)) return []
  if (answer.status === 200 && errors.length === 0) return requireSameJob(jobs, jobId)
  throw new Outage('job_check_failed', `slurmrestd answered the look at a job with ${answer.status}`)
}

function parseAnswer(
  bytes: Uint8Array,
  status: number,
): { jobs: JobRecord[]; errors: readonly SlurmError[] } {
  if (isTokenRefused(status, [])) return { jobs: [], errors: [] }
  try {
    const document = parseSlurmAnswer(bytes)
    const jobs: unknown[] = Array.isArray(document['jobs']) ? document['jobs'] : []
    if (!jobs.every(isObject)) throw new SyntaxError('a job is not an object')
    return { jobs, errors: readSlurmErrors(document['errors']) }
  } catch (cause) {
    throw new Outage('job_check_failed', `slurmrestd answered the look at a job unreadably (${status})`, {
      cause,
    })
  }
}

/** A daemon that reads an id as some other job's would have had that one judged: parser differential. */
function requireSameJob(records: readonly JobRecord[], jobId: string): readonly JobRecord[] {
  const isSame = (record: JobRecord): boolean =>
    ['job_id', 'array_job_id', 'het_job_id'].some((name) => readNumber(record[name]) === Number(jobId))
  if (records.every(isSame)) return records
  throw new Outage('job_check_failed', 'slurmrestd answered the look at a job with another job')
}

/** `het_job_id` is 0 or absent for other jobs. */
function readLeader(record: JobRecord): string[] {
  const leader = readNumber(record['het_job_id'])
  if (leader === undefined || leader === null || leader === 0) return []
  if (typeof leader === 'number' && isJobId(String(leader), true)) return [String(leader)]
  throw new Outage('job_check_failed', 'a job names its leader unreadably')
}

/** A number up to v0.0.39, `{set, number}` since; an object without one is no number. */
function readNumber(raw: unknown): unknown {
  return isObject(raw) ? (raw['number'] ?? Number.NaN) : raw
}
