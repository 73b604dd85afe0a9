/** Looks at a real Slurm from inside, between two volleys: what was done to whose jobs, and whether every daemon lives. */

import { ALICE, OWN_ACCOUNT } from '../integration/real-cluster.ts'
import type { ClusterDaemonName } from '../../functions/up/cluster.ts'
import { POOL_NAME, type Fixtures } from './job-fixtures.ts'
import { isOver, readJobs, type JobRecord } from './job-records.ts'
import type { RealSlurm } from './real-slurm.ts'

/**
 * Jobs with names like this are the honest client's, and so are those that it made itself: 22.05 renames a job that is
 * updated under v0.0.36 to `openapi` (measured).
 */
const HONEST_NAME = /^(honest|direct)/

const DAEMONS: readonly ClusterDaemonName[] = ['slurmrestd', 'slurmctld', 'slurmdbd', 'slurmd']

export interface Watch {
  /**
   * @param areOthersSafe false: the attackers may act for alice in every account; only bob's jobs have to stay.
   * @returns what is wrong, in words; empty: nothing.
   */
  look(areOthersSafe: boolean): Promise<string[]>
  /** Daemons that died since the last look; they run again afterwards. */
  reviveDaemons(): Promise<string[]>
}

export async function createWatch(slurm: RealSlurm, fixtures: Fixtures): Promise<Watch> {
  let pids = await readPids(slurm)
  const expected = new Map(fixtures.foreign)

  async function reviveDaemons(): Promise<string[]> {
    const now = await readPids(slurm)
    const dead = DAEMONS.filter((name) =>
      (pids.get(name) ?? []).some((pid) => !(now.get(name) ?? []).includes(pid)),
    )
    for (const name of dead) await slurm.cluster.restart(name)
    if (dead.length > 0) pids = await readPids(slurm)
    return dead
  }

  return {
    reviveDaemons,
    async look(areOthersSafe) {
      const problems = (await reviveDaemons()).map((name) => `${name} died`)
      if (!slurm.isGatewayRunning())
        problems.push(`the gateway ended: ${slurm.readGatewayLines().join('\n')}`)
      const jobs = await readJobs(slurm)
      for (const [jobId, before] of expected) {
        if (!areOthersSafe && before.user === ALICE.name) continue
        const now = jobs.get(jobId)
        if (now?.lasting === before.lasting) continue
        problems.push(
          `job ${jobId} of ${before.user} in ${before.account} changed: ${describeChange(before, now)}`,
        )
        // Told once.
        if (now === undefined) expected.delete(jobId)
        else expected.set(jobId, now)
      }
      for (const record of jobs.values()) {
        if (!areOthersSafe || fixtures.foreign.has(record.jobId) || fixtures.isFixture(record.jobId)) continue
        if (record.user === ALICE.name && record.account === OWN_ACCOUNT) continue
        problems.push(`a new job ${record.jobId} of ${record.user} in ${record.account}: ${record.lasting}`)
        expected.set(record.jobId, record)
      }
      await sweep(slurm, fixtures, jobs)
      await fixtures.refresh(jobs)
      return problems
    },
  }
}

/** New jobs of the attackers go, so that the queue stays short. */
async function sweep(
  slurm: RealSlurm,
  fixtures: Fixtures,
  jobs: ReadonlyMap<string, JobRecord>,
): Promise<void> {
  const pool = new Set<string>(Object.values(fixtures.ids()))
  const litter = [...jobs.values()].filter(
    (record) =>
      !isOver(record) &&
      !pool.has(record.jobId) &&
      !fixtures.isFixture(record.jobId) &&
      !(record.name === POOL_NAME && [...pool].some((id) => record.lasting.includes(`JobId=${id} `))) &&
      !HONEST_NAME.test(record.name) &&
      !slurm.honestJobs.has(record.jobId),
  )
  if (litter.length > 0) await slurm.cluster.run(['scancel', ...litter.map(({ jobId }) => jobId)])
}

function describeChange(before: JobRecord, now: JobRecord | undefined): string {
  if (now === undefined) return 'it is gone'
  const [old, current] = [before.lasting.split(' '), now.lasting.split(' ')]
  const removed = old.filter((field) => !current.includes(field)).map((field) => `-${field}`)
  return [...removed, ...current.filter((field) => !old.includes(field)).map((field) => `+${field}`)].join(
    ' ',
  )
}

async function readPids(slurm: RealSlurm): Promise<Map<ClusterDaemonName, readonly string[]>> {
  const script = DAEMONS.map((name) => `echo ${name} $(pgrep -x ${name} | sort -n | tr '\\n' ' ')`).join('; ')
  const text = await slurm.runInside(script)
  return new Map(
    text.split('\n').map((line) => {
      const [name = '', ...found] = line.trim().split(' ')
      // Daemons fork for a moment: the first of them is the one that stays.
      return [name as ClusterDaemonName, found.slice(0, 1)] as const
    }),
  )
}
