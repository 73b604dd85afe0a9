/** What slurmctld itself says of jobs: `scontrol show job`, never through the gate. */

import type { RealSlurm } from './real-slurm.ts'

export interface JobRecord {
  readonly jobId: string
  readonly account: string
  readonly user: string
  readonly name: string
  readonly state: string
  /** All that a write could change. */
  readonly lasting: string
}

/** Move by themselves: clocks, and what the scheduler says of waiting jobs. */
const VOLATILE: ReadonlySet<string> = new Set([
  'RunTime',
  'TimeLeft',
  'LastSchedEval',
  'Scheduler',
  'AccrueTime',
  'EligibleTime',
  'StartTime',
  'EndTime',
  'Deadline',
  'Reason',
  'SchedNodeList',
  'PreemptEligibleTime',
  'PreemptTime',
  'SuspendTime',
  'SecsPreSuspend',
])

export async function readJobs(slurm: RealSlurm): Promise<Map<string, JobRecord>> {
  const text = await slurm.runInside('scontrol --all --oneliner show job')
  const records = new Map<string, JobRecord>()
  // A job's name may hold line ends.
  for (const line of text.split(/\n(?=JobId=\d+ )/)) {
    const fields = readFields(line)
    const jobId = fields.get('JobId')
    if (jobId === undefined) continue
    records.set(jobId, {
      jobId,
      account: fields.get('Account') ?? '',
      user: (fields.get('UserId') ?? '').replace(/\(.*/, ''),
      name: fields.get('JobName') ?? '',
      state: fields.get('JobState') ?? '',
      lasting: [...fields]
        .flatMap(([name, value]) => (VOLATILE.has(name) ? [] : [`${name}=${value}`]))
        .join(' '),
    })
  }
  return records
}

/** `Name=value Name=value`, where a value may hold spaces: a name is a capital and letters. */
function readFields(line: string): Map<string, string> {
  const fields = new Map<string, string>()
  for (const part of line.split(/ (?=[A-Z][A-Za-z/:]*=)/)) {
    const equals = part.indexOf('=')
    if (equals > 0 && !fields.has(part.slice(0, equals)))
      fields.set(part.slice(0, equals), part.slice(equals + 1).trim())
  }
  return fields
}

const ENDED =
  /^(CANCELLED|COMPLETED|FAILED|TIMEOUT|NODE_FAIL|PREEMPTED|BOOT_FAIL|DEADLINE|OUT_OF_MEMORY|REVOKED|COMPLETING)/

export function isOver(record: JobRecord | undefined): boolean {
  return record === undefined || ENDED.test(record.state)
}
