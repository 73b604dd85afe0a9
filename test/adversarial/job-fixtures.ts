/**
 * The jobs that an attack is about: foreign ones of every shape, made once and never to change, and own ones that are
 * made anew as attackers use them up. All are made inside the cluster with sbatch and scontrol.
 */

import { ALICE, BOB, OTHER_ACCOUNT, OWN_ACCOUNT } from '../integration/real-cluster.ts'
import { OWN_KINDS, type JobIds, type JobKind, type OwnKind } from './hostile-request.ts'
import { isOver, readJobs, type JobRecord } from './job-records.ts'
import type { RealSlurm } from './real-slurm.ts'

/** Own jobs that the attackers are given carry this name. */
export const POOL_NAME = 'pool'

const WRAP = "--wrap='exec sleep 10000000'"

function submit(account: string, options: string, name = 'victim'): string {
  return `sbatch --parsable -D /tmp -o /dev/null -J ${name} -A ${account} ${options}`
}

function submitHet(first: string, second: string, third: string, name = 'victim'): string {
  const part = (account: string): string => `-H -D /tmp -o /dev/null -J ${name} -A ${account}`
  return `sbatch --parsable ${part(first)} : ${part(second)} : ${part(third)} ${WRAP}`
}

export interface Fixtures {
  /** As they were when they were made. */
  readonly foreign: ReadonlyMap<string, JobRecord>
  ids(): JobIds
  isFixture(jobId: string): boolean
  /** Makes own jobs anew where they are over. @param jobs as they are now. */
  refresh(jobs: ReadonlyMap<string, JobRecord>): Promise<void>
}

export async function makeFixtures(slurm: RealSlurm): Promise<Fixtures> {
  const asAlice = (script: string): Promise<string> => slurm.runInside(script, ALICE.name)
  const own = OWN_ACCOUNT
  const other = OTHER_ACCOUNT
  // Low numbers first: `1e1`, `01` and the like then mean foreign jobs.
  const plain: string[] = []
  for (let count = 0; count < 12; count += 1) plain.push(await asAlice(`${submit(other, '-H')} ${WRAP}`))
  const running = await asAlice(`${submit(other, '-p live --requeue')} ${WRAP}`)
  const running2 = await asAlice(`${submit(other, '-p live')} ${WRAP}`)
  const waiting = await asAlice(`${submit(other, '-b now+300days')} ${WRAP}`)
  const array = await asAlice(`${submit(other, '-H --array=1-3')} ${WRAP}`)
  const het = await asAlice(submitHet(other, other, other))
  const bob = await slurm.runInside(`${submit(other, '-H')} ${WRAP}`, BOB.name)
  const bobOwn = await slurm.runInside(`${submit(own, '-H')} ${WRAP}`, BOB.name)
  const bobRunning = await slurm.runInside(`${submit(other, '-p live')} ${WRAP}`, BOB.name)
  const mixedHet = await asAlice(submitHet(own, other, own))
  const foreignHet = await asAlice(submitHet(other, own, other))
  const mixedArray = await asAlice(`${submit(own, '-H --array=1-3')} ${WRAP}`)
  const foreignArray = await asAlice(`${submit(other, '-H --array=1-3')} ${WRAP}`)
  await slurm.runInside(`scontrol update JobId=${mixedArray}_2 Account=${other}`)
  await slurm.runInside(`scontrol update JobId=${foreignArray}_2 Account=${own}`)
  for (const jobId of [running, running2, bobRunning]) await waitForRunning(slurm, jobId)

  const part = (leader: string, offset: number): string => String(Number(leader) + offset)
  const made: Omit<JobIds, OwnKind> = {
    'foreign.plain': plain[4] ?? waiting,
    'foreign.running': running,
    'foreign.array': array,
    'foreign.het': het,
    'foreign.hetPart': part(het, 1),
    'foreign.bob': bob,
    'bob.own': bobOwn,
    'mixed.het': mixedHet,
    'mixed.hetPart': part(mixedHet, 2),
    'mixed.foreignHet': foreignHet,
    'mixed.foreignHetPart': part(foreignHet, 1),
    'mixed.array': mixedArray,
    'mixed.arrayTask': await findTask(slurm, mixedArray),
    'mixed.foreignArray': foreignArray,
    'mixed.foreignArrayTask': await findTask(slurm, foreignArray),
  }
  const jobs = await readJobs(slurm)
  requireAccounts(made, jobs)
  const foreign = new Map(
    [...jobs].filter(([, record]) => record.account !== own || record.user !== ALICE.name),
  )
  const fixtures = new Set(jobs.keys())
  const pool = new Map<OwnKind, string>()

  async function refresh(now: ReadonlyMap<string, JobRecord>): Promise<void> {
    for (const kind of OWN_KINDS) {
      const id = pool.get(kind)
      const record = id === undefined ? undefined : now.get(id)
      const isGood = !isOver(record) && (kind !== 'own.running' || record?.state === 'RUNNING')
      if (!isGood) pool.set(kind, await asAlice(OWN_COMMANDS[kind]))
    }
  }
  await refresh(jobs)
  return {
    foreign,
    ids: () => ({ ...made, ...(Object.fromEntries(pool) as Record<OwnKind, string>) }),
    isFixture: (jobId) => fixtures.has(jobId),
    refresh,
  }
}

const OWN_COMMANDS: Readonly<Record<OwnKind, string>> = {
  'own.plain': `${submit(OWN_ACCOUNT, '-H', POOL_NAME)} ${WRAP}`,
  'own.running': `${submit(OWN_ACCOUNT, '-p live --requeue', POOL_NAME)} ${WRAP}`,
  'own.array': `${submit(OWN_ACCOUNT, '-H --array=1-3', POOL_NAME)} ${WRAP}`,
  'own.het': submitHet(OWN_ACCOUNT, OWN_ACCOUNT, OWN_ACCOUNT, POOL_NAME),
}

async function waitForRunning(slurm: RealSlurm, jobId: string): Promise<void> {
  for (let tries = 0; tries < 60; tries += 1) {
    if ((await slurm.runInside(`squeue -h -j ${jobId} -o %T`)) === 'RUNNING') return
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
  throw new Error(`job ${jobId} does not run`)
}

/** Task 2 has a number of its own once it was changed. */
async function findTask(slurm: RealSlurm, array: string): Promise<string> {
  const line = await slurm.runInside(`scontrol --oneliner show job ${array}_2`)
  const id = /^JobId=(\d+)/.exec(line)?.[1]
  if (id === undefined || id === array) throw new Error(`task 2 of ${array} has no number of its own`)
  return id
}

/** The fixtures are what their names say. */
function requireAccounts(made: Omit<JobIds, OwnKind>, jobs: ReadonlyMap<string, JobRecord>): void {
  const ownOnes: readonly JobKind[] = [
    'mixed.het',
    'mixed.hetPart',
    'mixed.foreignHetPart',
    'mixed.array',
    'mixed.foreignArrayTask',
    'bob.own',
  ]
  for (const [kind, id] of Object.entries(made)) {
    const expected = (ownOnes as readonly string[]).includes(kind) ? OWN_ACCOUNT : OTHER_ACCOUNT
    const found = jobs.get(id)?.account
    if (found !== expected) throw new Error(`the fixture ${kind} (job ${id}) is in ${found ?? 'no account'}`)
  }
}
