/**
 * What the gate adds to a real `ping`: one request directly, one through the gate, in turn on warm connections, so that
 * whatever disturbs disturbs both. Now and then one through each of the other proxies.
 */

import { atMost, formatTable, type Report } from './findings.ts'
import { buildGet, KeepAliveClient } from './keep-alive-client.ts'
import { findMedian } from './rate-table.ts'

const PAIRS = 10_000
const REPETITIONS = 5
const WARM_UP_PAIRS = 1_000
/** The other proxies have a turn in so many. */
const OTHERS_EVERY = 4

export interface LatencySide {
  readonly name: string
  readonly port: number
  readonly headers: Readonly<Record<string, string>>
}

interface Asked {
  readonly name: string
  readonly ask: () => Promise<number>
}

/** @param sides slurmrestd itself, the gate, and then the others. */
export async function measureAddedLatency(target: string, sides: readonly LatencySide[]): Promise<Report> {
  const clients = await Promise.all(sides.map(({ port }) => KeepAliveClient.open(port)))
  const asked = sides.map((side, index) => buildAsked(side, target, clients[index]))
  await measureOnce(asked, WARM_UP_PAIRS)
  const repetitions: Percentiles[][] = []
  for (let repetition = 0; repetition < REPETITIONS; repetition += 1)
    repetitions.push(await measureOnce(asked, PAIRS))
  for (const client of clients) client.close()

  const findDifference = (side: number, which: keyof Percentiles): number =>
    findMedian(repetitions.map((each) => (each[side]?.[which] ?? NaN) - (each[0]?.[which] ?? NaN)))
  const findTime = (side: number, which: keyof Percentiles): number =>
    findMedian(repetitions.map((each) => each[side]?.[which] ?? NaN))
  const rows = sides.map(({ name }, side) =>
    [
      findTime(side, 'p50'),
      findTime(side, 'p99'),
      findDifference(side, 'p50'),
      findDifference(side, 'p99'),
    ].reduce<string[]>((cells, value) => [...cells, value.toFixed(3)], [name]),
  )
  const title = `\`GET ${target}\`, ${String(REPETITIONS)} times ${String(PAIRS)} pairs, medians of the repetitions, ms`
  return {
    findings: [
      atMost('added latency on real `ping`, p50', findDifference(1, 'p50'), 0.4, 'ms'),
      atMost('added latency on real `ping`, p99', findDifference(1, 'p99'), 2, 'ms'),
    ],
    details: [`${title}\n\n${formatTable(['side', 'p50', 'p99', 'added p50', 'added p99'], rows)}`],
  }
}

function buildAsked(
  { name, headers }: LatencySide,
  target: string,
  client: KeepAliveClient | undefined,
): Asked {
  const request = buildGet(target, headers)
  return {
    name,
    async ask() {
      const startedAt = performance.now()
      const answer = await client?.ask(request)
      const milliseconds = performance.now() - startedAt
      if (answer?.status !== 200) throw new Error(`${name}: ${answer?.head ?? 'no answer'}`)
      return milliseconds
    },
  }
}

interface Percentiles {
  readonly p50: number
  readonly p99: number
}

async function measureOnce(asked: readonly Asked[], pairs: number): Promise<Percentiles[]> {
  const times = asked.map((): number[] => [])
  for (let pair = 0; pair < pairs; pair += 1) {
    for (const [index, { ask }] of asked.entries())
      if (index < 2 || pair % OTHERS_EVERY === 0) times[index]?.push(await ask())
  }
  return times.map((each) => {
    const sorted = each.sort((left, right) => left - right)
    const find = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? NaN
    return { p50: find(0.5), p99: find(0.99) }
  })
}
