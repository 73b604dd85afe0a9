/** `jobs` of a real slurmrestd, with a short queue and with a long one: answers per second, and what they cost upstream. */

import { sleep } from '../support/program.ts'
import { atLeast, atMost, formatRates, formatTable, notMeasured, type Report } from './findings.ts'
import { readCacheMark } from './keep-alive-client.ts'
import { poll, type Polled } from './pollers.ts'
import { readJobs } from './slurm-stand.ts'
import type { SlurmSides } from './slurm-sides.ts'

const TARGET = '/slurm/v0.0.42/jobs'
const SHORT = { connections: 8, rounds: 3, seconds: 2 }
const POLLERS = 24
const POLL_SECONDS = 60
/** The gateway's default for jobs. */
const TTL_SECONDS = 2
const CALLS_MAX_PER_IDENTITY = POLL_SECONDS / TTL_SECONDS + 1

export async function measureShortQueue(sides: SlurmSides, jobs: number): Promise<Report> {
  const { direct, nginx, pipe, uncached, cached } = sides
  const rows = [direct, nginx, pipe, uncached, cached].map((side) => ({ side, rates: [] as number[] }))
  for (let round = 0; round < SHORT.rounds; round += 1) {
    for (const { side, rates } of rows) {
      const headers = Array.from({ length: SHORT.connections }, () => side.headers)
      const { perSecond } = await poll({
        ...side,
        target: TARGET,
        headers,
        seconds: SHORT.seconds,
        leastBytes: 1,
      })
      rates.push(perSecond)
    }
  }
  const title = `\`GET ${TARGET}\`, ${String(jobs)} jobs in the queue, ${String(SHORT.connections)} connections`
  const table = rows.map(({ side, rates }) => ({ side: side.name, rates }))
  return { findings: [], details: [formatRates(title, table, direct.name)] }
}

export async function measureLongQueue(sides: SlurmSides, jobs: number): Promise<Report> {
  const { direct, cached, relay, identities } = sides
  const whole = await readJobs(direct.port, direct.headers)
  if (whole.jobs !== jobs)
    throw new Error(`${String(whole.jobs)} jobs in an answer instead of ${String(jobs)}`)
  const pollSide = (port: number, headers: readonly SlurmSides['identities'][number][]): Promise<Polled> =>
    poll({
      port,
      target: TARGET,
      headers: Array.from({ length: POLLERS }, (_, index) => headers[index % headers.length] ?? {}),
      seconds: POLL_SECONDS,
      // Times and counters in it change their length a little.
      leastBytes: Math.floor(0.99 * whole.bytes),
    })
  const directly = await pollSide(direct.port, [direct.headers])
  const sample = await readJobs(cached.port, cached.headers)
  if (sample.jobs !== jobs)
    throw new Error(`${String(sample.jobs)} jobs through the gateway instead of ${String(jobs)}`)
  const hasCache = readCacheMark(sample) !== null
  let ours: Polled | null = null
  let calls = 0
  if (hasCache) {
    await sleep(2000 * TTL_SECONDS)
    relay.takeCount()
    ours = await pollSide(cached.port, identities)
    calls = relay.takeCount()
  }
  const title =
    `\`GET ${TARGET}\`, ${String(jobs)} jobs in the queue, ${(whole.bytes / 1e6).toFixed(1)} MB each, ` +
    `${String(POLLERS)} pollers for ${String(POLL_SECONDS)} s, answers drained`
  const rows = [describe(direct.name, directly, null)]
  if (ours !== null) rows.push(describe(cached.name, ours, calls))
  return {
    findings: judge(jobs, directly, ours, calls),
    details: [
      `${title}\n\n${formatTable(['side', 'answers', 'per second', 'MB/s', 'upstream calls', 'X-Cache'], rows)}`,
    ],
  }
}

function judge(jobs: number, directly: Polled, ours: Polled | null, calls: number): Report['findings'] {
  const name = `\`jobs\`, ${String(jobs)} in the queue, ${String(POLLERS)} pollers: answers/s against slurmrestd directly`
  const callsName = '... upstream calls in that minute, per identity'
  if (ours === null) {
    const why = 'no X-Cache in the answer'
    return [
      notMeasured(name, '>= 40 x', why),
      notMeasured(callsName, `<= ${String(CALLS_MAX_PER_IDENTITY)}`, why),
    ]
  }
  return [
    atLeast(name, ours.perSecond / directly.perSecond, 40),
    atMost(callsName, calls / 2, CALLS_MAX_PER_IDENTITY, ''),
  ]
}

function describe(name: string, polled: Polled, calls: number | null): string[] {
  const { answers, perSecond, bytes, marks } = polled
  const megabytes = ((bytes / answers) * perSecond) / 1e6
  return [
    name,
    String(answers),
    perSecond.toFixed(2),
    megabytes.toFixed(0),
    calls === null ? '-' : String(calls),
    Object.entries(marks)
      .map(([mark, count]) => `${mark} ${String(count)}`)
      .join(', '),
  ]
}
