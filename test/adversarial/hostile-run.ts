/** Volleys of generated requests against one real Slurm, each followed by a look from inside. */

import fc from 'fast-check'
import { requestRaw } from '../support/raw-http.ts'
import { isRestricted as isRestrictedToken } from './attacks/scopes.ts'
import { Attacker, type Answer } from './attacker.ts'
import {
  CLOSED_KINDS,
  describeRequest,
  type Caller,
  type HostileRequest,
  type JobIds,
} from './hostile-request.ts'
import { generateHostileRequests } from './hostile-requests.ts'
import type { Fixtures } from './job-fixtures.ts'
import type { RealSlurm } from './real-slurm.ts'
import { describeForwarded, type Forwarded } from './recording-relay.ts'
import { SEED } from './share.ts'
import type { Watch } from './watch.ts'
import { findHarm, type Leave } from './worst-case.ts'

const VOLLEY = 250
const LANES = 4
const SCOPES = ['slurm:read', 'slurmdb:read', 'slurm:jobs:manage']

export interface HostileRunOptions {
  readonly slurm: RealSlurm
  readonly fixtures: Fixtures
  readonly watch: Watch
  readonly callers: readonly { readonly caller: Caller; readonly weight: number }[]
  /** Ends when so many requests have reached slurmrestd; the gate's own looks at jobs are not counted. */
  readonly forwardedLeast: number
  readonly requestsMost: number
  /** Sets this run's volleys apart from another run's with the same seed. */
  readonly offset: number
}

export interface HostileFigures {
  requests: number
  /** Of these reached slurmrestd, as the relay saw them. */
  forwarded: number
  /** The gate's own looks at jobs, beside them. */
  looks: number
  /** The connection ended without an answer. */
  unanswered: number
  readonly problems: string[]
}

const PROBLEMS_MOST = 40

export async function runHostileRequests(options: HostileRunOptions): Promise<HostileFigures> {
  const { slurm, fixtures, watch, callers } = options
  const isRestricted = callers.every(({ caller }) => caller !== 'munge' && isRestrictedToken(caller))
  const figures: HostileFigures = { requests: 0, forwarded: 0, looks: 0, unanswered: 0, problems: [] }
  const requests = generateHostileRequests({
    versions: slurm.versions,
    callers,
    // It holds a worker of slurmrestd until the job starts, which here it never does.
    without: isRestricted ? [] : ['POST /slurm/job/allocate'],
  })
  slurm.relay.take()
  for (
    let volley = 0;
    figures.forwarded < options.forwardedLeast && figures.requests < options.requestsMost;
    volley += 1
  ) {
    const seed = (SEED + 7919 * (options.offset + volley)) | 0
    const ids = fixtures.ids()
    const batch = fc.sample(requests, { numRuns: VOLLEY, seed })
    const sent = await fire(slurm, batch, ids)
    const forwarded = slurm.relay.take()
    for (const { request, fault } of sent)
      if (fault !== null) process.stderr.write(`  UNANSWERED ${fault}\n${describeRequest(request)}\n`)
    count(figures, sent, forwarded)
    const problems = [
      ...findAnswerProblems(sent),
      ...slurm.relay.unreadable.splice(0).map((problem) => `the gateway sent no request: ${problem}`),
      ...(isRestricted ? findHarms(forwarded, ids) : []),
    ]
    const seen = await watch.look(isRestricted)
    if (seen.length > 0) {
      const suspects = forwarded.filter((record) => record.isLost || !isLook(record))
      const lost = suspects.filter(({ isLost }) => isLost)
      const hasDeath = seen.some((problem) => problem.endsWith(' died'))
      const killers = hasDeath ? await findKillers(slurm, watch, lost) : []
      const shown = killers.length > 0 ? killers : lost.length > 0 ? lost : suspects
      problems.push(...seen.map((problem) => `${problem}\n${listSuspects(shown)}`))
    }
    figures.problems.push(...problems.map((problem) => `[seed ${seed}] ${problem}`))
    for (const problem of problems)
      process.stderr.write(`  ${slurm.cluster.clusterName}: ${problem.slice(0, 4000)}\n`)
    if (figures.problems.length > PROBLEMS_MOST) break
  }
  return figures
}

interface Sent {
  readonly request: HostileRequest
  readonly answer: Answer | null
  /** Why there is no answer. */
  readonly fault: string | null
}

/** A few at a time, each lane on its own connection; nothing more once slurmrestd drops connections. */
async function fire(slurm: RealSlurm, batch: readonly HostileRequest[], ids: JobIds): Promise<Sent[]> {
  const sent: Sent[] = []
  const queue = batch.values()
  const credentials: string[] = []
  slurm.relay.losses = 0
  async function work(): Promise<void> {
    const attacker = new Attacker(slurm.gatewayPort)
    for (const request of queue) {
      if (slurm.relay.losses > 0) break
      const credential = findCredential(slurm, request.caller, credentials)
      const answer = await attacker.send(request, ids, credential)
      sent.push({ request, answer, fault: attacker.fault })
    }
    attacker.close()
  }
  await Promise.all(Array.from({ length: LANES }, work))
  return sent
}

const CREDENTIALS_AT_ONCE = 20

/** MUNGE credentials are made some at a time: they live for five seconds. */
export function findCredential(slurm: RealSlurm, caller: Caller, ready: string[]): readonly [string, string] {
  if (caller !== 'munge') return ['Authorization', `Bearer ${slurm.tokens[caller]}`]
  if (ready.length === 0) ready.push(...slurm.makeCredentials(CREDENTIALS_AT_ONCE))
  return ['Authorization', `MUNGE ${ready.pop() ?? ''}`]
}

function count(figures: HostileFigures, sent: readonly Sent[], forwarded: readonly Forwarded[]): void {
  const asked = sent.filter(({ request, answer }) => isAnsweredLook(request, answer)).length
  const looks = forwarded.filter(isLook).length
  figures.requests += sent.length
  figures.unanswered += sent.filter(({ answer }) => answer === null).length
  figures.looks += Math.max(0, looks - asked)
  figures.forwarded += forwarded.length - looks + Math.min(asked, looks)
}

/** `GET job/{id}` by the client itself, answered by slurmrestd. */
function isAnsweredLook({ method, target }: HostileRequest, answer: Answer | null): boolean {
  return (
    method === 'GET' &&
    /\/job\//.test(target) &&
    !/requeue|slurmdb/.test(target) &&
    answer !== null &&
    answer.rule === null
  )
}

/** The gate's own questions: a look at a job before a write, and which API versions there are. */
export function isLook({ method, target }: Forwarded): boolean {
  if (method === 'GET' && target === '/openapi/v3') return true
  return method === 'GET' && /^\/slurm\/v0\.0\.\d+\/job\/\d+$/.test(target)
}

/** Ids come and go in a real Slurm: what is not a fixture of somebody else is the attacker's own. */
function findHarms(forwarded: readonly Forwarded[], ids: JobIds): string[] {
  const closed = new Set(CLOSED_KINDS.map((kind) => ids[kind]))
  const leave: Leave = {
    slurmUser: 'alice',
    scopes: new Set(SCOPES),
    account: 'ownerlab',
    isMunge: false,
    isOwn: (id) => /^\d+$/.test(id) && !closed.has(id),
  }
  return forwarded.flatMap((record) => {
    // The gate asks as nobody which versions there are.
    if (record.method === 'GET' && record.target === '/openapi/v3') return []
    const harm = findHarm({ ...record, body: record.body.toString('utf8') }, leave)
    return harm === null ? [] : [`${harm}\n    ${describeForwarded(record)}`]
  })
}

function findAnswerProblems(sent: readonly Sent[]): string[] {
  return sent.flatMap(({ request, answer }) =>
    answer !== null && answer.rule === 'internal_error'
      ? [`the gate failed: ${answer.text}\n${describeRequest(request)}`]
      : [],
  )
}

const REPLAY_MILLISECONDS = 15_000

/** Sends each again by itself, behind the gate's back. @returns those of which a daemon dies again. */
async function findKillers(
  slurm: RealSlurm,
  watch: Watch,
  suspects: readonly Forwarded[],
): Promise<Forwarded[]> {
  const killers: Forwarded[] = []
  for (const suspect of suspects) {
    const { method, target, headers, body } = suspect
    const type = headers.get('content-type')?.[0]
    await requestRaw(
      { host: '127.0.0.1', port: slurm.cluster.ports.slurmrestd },
      {
        method,
        target,
        headers: [
          ['X-SLURM-USER-NAME', 'alice'],
          ['X-SLURM-USER-TOKEN', slurm.mintSlurmToken()],
          ...(type === undefined ? [] : [['Content-Type', type] as const]),
        ],
        ...(body.length === 0 ? {} : { body: new Uint8Array(body) }),
      },
      { timeoutMilliseconds: REPLAY_MILLISECONDS },
    ).catch(() => undefined)
    if ((await watch.reviveDaemons()).length > 0) killers.push(suspect)
  }
  return killers
}

const SUSPECTS_SHOWN = 30

function listSuspects(suspects: readonly Forwarded[]): string {
  return suspects
    .slice(-SUSPECTS_SHOWN)
    .map((record) => `    ${describeForwarded(record)}`)
    .join('\n')
}
