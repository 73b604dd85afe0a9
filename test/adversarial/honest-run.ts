/**
 * What an honest client does through a restricted token, beside the attack: everything succeeds as it does directly.
 * Each step is done twice, through the gate and behind its back, and compared by status, errors and outcome.
 */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ALICE, OWN_ACCOUNT } from '../integration/real-cluster.ts'
import { requestRaw, type RawAnswer, type RawHeader } from '../support/raw-http.ts'
import { sleep } from '../support/program.ts'
import { buildDescription, buildSubmission } from './daemon-versions.ts'
import { buildHonestReads } from './honest-reads.ts'
import type { RealSlurm } from './real-slurm.ts'

export interface HonestCall {
  readonly name: string
  readonly method: string
  /** `{id}` is the job's. */
  readonly target: string
  readonly document?: unknown
  /** The job it is about; undefined: none, or the one it makes. */
  readonly job?: 'held' | 'running' | 'array' | 'het'
  /** Reads differ from moment to moment: only status and errors are compared. */
  readonly isRead?: boolean
}

export interface HonestFigures {
  calls: number
  readonly refusals: string[]
}

/**
 * Goes round all versions until told to stop, at least once.
 * @param jobId a job to read about.
 */
export async function runHonestRequests(
  slurm: RealSlurm,
  jobId: string,
  isDone: () => boolean,
): Promise<HonestFigures> {
  const figures: HonestFigures = { calls: 0, refusals: [] }
  do {
    for (const version of slurm.versions) {
      for (const call of [...buildHonestWrites(version), ...buildHonestReads(slurm, version, jobId)]) {
        figures.calls += 1
        const { lossesTotal } = slurm.relay
        let problem = await tryCall(slurm, call)
        if (problem !== null) problem = await tryAgain(slurm, call, problem, lossesTotal)
        if (problem === null) continue
        figures.refusals.push(`v0.0.${version} ${call.name}: ${problem}`)
        process.stderr.write(
          `  ${slurm.cluster.clusterName}: honest v0.0.${version} ${call.name}: ${problem}\n`,
        )
      }
    }
  } while (!isDone())
  return figures
}

/** Until the watch has restarted a daemon that died. */
const RESTART_MILLISECONDS = 15_000

/** A daemon that the attack has just killed is that run's finding, not a refusal. */
async function tryAgain(
  slurm: RealSlurm,
  call: HonestCall,
  problem: string,
  lossesBefore: number,
): Promise<string | null> {
  if (slurm.relay.lossesTotal === lossesBefore) return problem
  await sleep(RESTART_MILLISECONDS)
  return tryCall(slurm, call)
}

function buildHonestWrites(version: number): HonestCall[] {
  const v = `/slurm/v0.0.${version}`
  const describe = (fields: Readonly<Record<string, unknown>> = {}): Record<string, unknown> =>
    buildDescription(version, { name: 'honest', account: OWN_ACCOUNT, ...fields })
  const submit = (name: string, descriptions: readonly Record<string, unknown>[]): HonestCall => ({
    name,
    method: 'POST',
    target: `${v}/job/submit`,
    document: buildSubmission(version, descriptions),
  })
  const calls: HonestCall[] = [
    submit('submit', [describe()]),
    submit('submit an array', [describe({ array: '1-3' })]),
    submit('submit a het job', [describe(), describe({ tasks: 2 })]),
    {
      name: 'update',
      method: 'POST',
      target: `${v}/job/{id}`,
      document: { comment: 'ours', nice: 7 },
      job: 'held',
    },
    {
      name: 'update an array',
      method: 'POST',
      target: `${v}/job/{id}`,
      document: { comment: 'ours' },
      job: 'array',
    },
    { name: 'cancel', method: 'DELETE', target: `${v}/job/{id}`, job: 'held' },
    { name: 'cancel a running job', method: 'DELETE', target: `${v}/job/{id}`, job: 'running' },
    { name: 'cancel an array', method: 'DELETE', target: `${v}/job/{id}`, job: 'array' },
    { name: 'cancel a het job', method: 'DELETE', target: `${v}/job/{id}`, job: 'het' },
    { name: 'signal', method: 'DELETE', target: `${v}/job/{id}?signal=CONT`, job: 'running' },
  ]
  if (version >= 40) {
    const list = { account: OWN_ACCOUNT, jobs: ['{id}'] }
    calls.push(
      { name: 'cancel a list', method: 'DELETE', target: `${v}/jobs/`, document: list, job: 'held' },
      {
        name: 'cancel a list with an array',
        method: 'DELETE',
        target: `${v}/jobs/`,
        document: list,
        job: 'array',
      },
      {
        name: 'signal a list',
        method: 'DELETE',
        target: `${v}/jobs/`,
        document: { ...list, signal: 'CONT' },
        job: 'running',
      },
    )
  }
  if (version >= 45) {
    calls.push(
      { name: 'requeue', method: 'GET', target: `${v}/job/{id}/requeue`, job: 'running' },
      { name: 'requeue and hold', method: 'GET', target: `${v}/job/{id}/requeue?Hold=true`, job: 'running' },
      {
        name: 'requeue a list',
        method: 'POST',
        target: `${v}/jobs/requeue`,
        document: { jobs: ['{id}'] },
        job: 'running',
      },
    )
  }
  return calls
}

/** @returns what differs; null: nothing. */
async function tryCall(slurm: RealSlurm, call: HonestCall): Promise<string | null> {
  return compareCall(slurm, call).catch((cause: unknown) => `no answer: ${String(cause)}`)
}

async function compareCall(slurm: RealSlurm, call: HonestCall): Promise<string | null> {
  const direct = await doCall(slurm, call, 'direct')
  const through = await doCall(slurm, call, 'honest')
  const isGood =
    through.status === direct.status && through.errors === direct.errors && through.outcome === direct.outcome
  if (isGood && (call.isRead === true || direct.status < 300)) return null
  const log = [direct, through].flatMap(({ jobId }) => findInLog(slurm, jobId))
  return [`directly ${describe(direct)}; through the gate ${describe(through)}`, ...log].join('\n    ')
}

/** Who did what to a job, by slurmctld's own word. */
function findInLog(slurm: RealSlurm, jobId: string): string[] {
  if (jobId === '') return []
  const log = readFileSync(join(slurm.cluster.instanceDir, 'state/log/slurmctld.log'), 'latin1')
  return log.split('\n').filter((line) => new RegExp(`\\bJobId=${jobId}\\b`).test(line))
}

interface Done {
  readonly status: number
  readonly errors: string
  readonly outcome: string
  readonly text: string
  /** Empty: none. */
  readonly jobId: string
}

function describe({ status, errors, outcome, text }: Done): string {
  return `${status} ${errors} [${outcome}]${status < 300 ? '' : ` ${text.slice(0, 300)}`}`
}

async function doCall(slurm: RealSlurm, call: HonestCall, way: 'honest' | 'direct'): Promise<Done> {
  const made = call.job === undefined ? '' : await makeJob(slurm, call.job, way)
  slurm.honestJobs.add(made)
  const body =
    call.document === undefined ? undefined : JSON.stringify(call.document).replaceAll('{id}', made)
  const headers: RawHeader[] =
    way === 'honest'
      ? [['Authorization', `Bearer ${slurm.tokens.bound}`]]
      : [
          ['X-SLURM-USER-NAME', ALICE.name],
          ['X-SLURM-USER-TOKEN', slurm.mintSlurmToken()],
        ]
  if (body !== undefined) headers.push(['Content-Type', 'application/json'])
  const port = way === 'honest' ? slurm.gatewayPort : slurm.cluster.ports.slurmrestd
  const answer = await requestRaw(
    { host: '127.0.0.1', port },
    {
      method: call.method,
      target: call.target.replace('{id}', made),
      headers,
      ...(body === undefined ? {} : { body }),
    },
    { timeoutMilliseconds: 90_000 },
  )
  const text = answer.body.toString('utf8')
  const parsed = parse(answer)
  const jobId = made !== '' ? made : call.isRead === true ? '' : String(parsed.job_id ?? '')
  const outcome = jobId === '' ? '' : await readOutcome(slurm, jobId)
  if (jobId !== '') await slurm.cluster.run(['scancel', jobId])
  const errors = (parsed.errors ?? []).map(
    ({ error_number: number, errno, error }) => `${String(number ?? errno ?? '')} ${error ?? ''}`,
  )
  return { status: answer.status, errors: errors.join(', '), outcome, text, jobId }
}

interface Parsed {
  readonly job_id?: number
  readonly errors?: readonly {
    readonly error_number?: number
    readonly errno?: number
    readonly error?: string
  }[]
}

function parse(answer: RawAnswer): Parsed {
  try {
    return JSON.parse(answer.body.toString('utf8')) as Parsed
  } catch {
    return {}
  }
}

async function makeJob(
  slurm: RealSlurm,
  kind: NonNullable<HonestCall['job']>,
  name: string,
): Promise<string> {
  const common = `-D /tmp -o /dev/null -J ${name} -A ${OWN_ACCOUNT}`
  const wrap = "--wrap='exec sleep 10000000'"
  const commands = {
    held: `sbatch --parsable ${common} -H ${wrap}`,
    running: `sbatch --parsable ${common} -p live --requeue ${wrap}`,
    array: `sbatch --parsable ${common} -H --array=1-3 ${wrap}`,
    het: `sbatch --parsable ${common} -H : ${common} -H ${wrap}`,
  }
  const jobId = await slurm.runInside(commands[kind], ALICE.name)
  if (kind === 'running') await settle(slurm, jobId, (states) => states === 'RUNNING')
  return jobId
}

/** What is left of the job, without numbers and times. */
async function readOutcome(slurm: RealSlurm, jobId: string): Promise<string> {
  await settle(slurm, jobId, (states) => !/COMPLETING|SIGNALING/.test(states))
  const { stdout } = await slurm.cluster.run(['scontrol', '--oneliner', 'show', 'job', jobId])
  const fields = [
    'Account',
    'UserId',
    'JobState',
    'Comment',
    'Nice',
    'Partition',
    'ArrayTaskId',
    'HetJobOffset',
    'NumTasks',
    'Restarts',
  ]
  return stdout
    .trim()
    .split('\n')
    .map((line) =>
      fields.map((field) => new RegExp(`(?:^| )${field}=(\\S*)`).exec(line)?.[1] ?? '-').join(' '),
    )
    .join('; ')
}

const SETTLE_TRIES = 40

async function settle(
  slurm: RealSlurm,
  jobId: string,
  isSettled: (states: string) => boolean,
): Promise<void> {
  for (let tries = 0; tries < SETTLE_TRIES; tries += 1) {
    const { stdout } = await slurm.cluster.run(['squeue', '-h', '-t', 'all', '-j', jobId, '-o', '%T'])
    if (isSettled(stdout.trim())) return
    await sleep(500)
  }
}
