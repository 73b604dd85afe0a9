/**
 * Requests per second through each side to the same fixed upstream: what the gate itself costs, what an answer from its
 * cache costs, and what it costs to have Slurm tokens signed elsewhere. Sides take turns, and the medians of all rounds
 * are compared.
 */

import { join } from 'node:path'
import { findFreePort } from '../support/free-port.ts'
import { buildProgram } from '../support/build-program.ts'
import { sleep } from '../support/program.ts'
import { atLeast, atMost, formatRates, notMeasured, type Finding, type Report } from './findings.ts'
import type { FixedUpstream } from './fixed-upstream.ts'
import type { GateStand, Running } from './gate-stand.ts'
import { buildGet, KeepAliveClient, readCacheMark } from './keep-alive-client.ts'
import { writePlainProxy, writeProxy } from './nginx.ts'
import { readProcessorTime } from './processor-time.ts'
import { findMedian } from './rate-table.ts'
import { startSigner } from './signer-side.ts'
import { runWrk } from './wrk.ts'

const CONNECTIONS = 32
const ROUNDS = 5
const SECONDS = 5
/** Some ten thousand requests: as long as V8 takes to compile what is called most. */
const WARM_UP_SECONDS = 6
const TARGET = '/slurm/v0.0.42/jobs'

export type OverheadRow = 'overhead' | 'hits' | 'signer'

/** As many slots as connections, as the other sides have it: what waiting for one costs is a row of its own. */
const UNBOUND = {
  CACHE_TTL_SECONDS: '0',
  UPSTREAM_MAX_CONCURRENCY: String(CONNECTIONS),
  UPSTREAM_MAX_CONCURRENCY_PER_CALLER: String(CONNECTIONS),
}

interface Side {
  readonly name: string
  readonly server: Running
  readonly headers: Readonly<Record<string, string>>
  /** Whether each request has to reach the upstream, or next to none of them may. null: not looked at. */
  readonly goesUpstream: boolean | null
}

const PIPE = 'node:http pipe'
const NGINX = 'nginx, connections kept'
const PLAIN_NGINX = 'nginx proxy_pass'
const OURS = 'gateway, uncached'
const SHARED = 'gateway, uncached, 4 slots'
const HITS = 'gateway, cache hits'
const SIGNED = 'gateway, uncached, signer'

export async function measureOverhead(
  stand: GateStand,
  upstream: FixedUpstream,
  rows: ReadonlySet<OverheadRow>,
): Promise<Report> {
  const sides = await startSides(stand, upstream, rows)
  const table = sides.map(({ name }) => ({ side: name, rates: [] as number[], costs: [] as number[] }))
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const [index, side] of sides.entries()) {
      const isWarmUp = round === 0
      const measured = await measureSide(stand, upstream, side, isWarmUp ? WARM_UP_SECONDS : SECONDS)
      if (isWarmUp) continue
      table[index]?.rates.push(measured.perSecond)
      table[index]?.costs.push(measured.cost)
    }
  }
  for (const { server } of sides) await server.stop()
  const median = (name: string): number => findMedian(table.find(({ side }) => side === name)?.rates ?? [])
  const title =
    `Fixed upstream, \`GET ${TARGET}\`, bearer, ${String(CONNECTIONS)} connections, ` +
    `${String(ROUNDS)} rounds of ${String(SECONDS)} s`
  return { findings: buildFindings(rows, median), details: [formatRates(title, table, PIPE)] }
}

function buildFindings(rows: ReadonlySet<OverheadRow>, median: (name: string) => number): Finding[] {
  const findings: Finding[] = []
  if (rows.has('overhead')) {
    findings.push(
      atLeast('overhead, uncached, against the bare Node pipe', median(OURS) / median(PIPE), 1),
      atLeast(
        'overhead, uncached, against nginx `proxy_pass` without auth',
        median(OURS) / median(PLAIN_NGINX),
        0.4,
      ),
      atLeast(
        '... against nginx that keeps its connections to the upstream',
        median(OURS) / median(NGINX),
        0.4,
      ),
    )
  }
  if (rows.has('hits')) {
    const name = 'cache hits against the bare Node pipe (uncached)'
    findings.push(
      Number.isNaN(median(HITS))
        ? notMeasured(name, '>= 1.8 x', 'no X-Cache in the answer')
        : atLeast(name, median(HITS) / median(PIPE), 1.8),
    )
  }
  if (rows.has('signer')) {
    const loss = 100 * (1 - median(SIGNED) / median(OURS))
    findings.push(atMost('what a signer takes from the uncached rate', Number(loss.toFixed(2)), 5, '%'))
  }
  return findings
}

async function startSides(
  stand: GateStand,
  upstream: FixedUpstream,
  rows: ReadonlySet<OverheadRow>,
): Promise<Side[]> {
  const headers = { Authorization: `Bearer ${await stand.issueToken('alice')}` }
  const startGateway = (settings: Readonly<Record<string, string>>): Promise<Running> =>
    stand.startGateway(stand.buildGatewayEnvironment(upstream.port, settings), 'under-test')
  const startNginx = async (name: string, write: (port: number) => string[]): Promise<Side> => {
    const port = await findFreePort()
    const server = await stand.startServer('nginx', write(port), port, { where: 'under-test' })
    return { name, server, headers: {}, goesUpstream: true }
  }
  const sides: Side[] = [
    { name: 'the upstream itself', server: upstream.server, headers: {}, goesUpstream: null },
    { name: PIPE, server: await startPipe(stand, upstream.port), headers: {}, goesUpstream: true },
    await startNginx(PLAIN_NGINX, (port) => writePlainProxy(stand.directory, port, upstream.port)),
    await startNginx(NGINX, (port) => writeProxy(stand.directory, 'proxy', port, upstream.port)),
    { name: OURS, server: await startGateway(UNBOUND), headers, goesUpstream: true },
    { name: SHARED, server: await startGateway({ CACHE_TTL_SECONDS: '0' }), headers, goesUpstream: true },
  ]
  if (rows.has('signer')) {
    const settings = { ...(await startSigner(stand)), ...UNBOUND }
    sides.push({ name: SIGNED, server: await startGateway(settings), headers, goesUpstream: true })
  }
  if (rows.has('hits')) {
    const server = await startGateway({})
    if ((await askMark(server.port, headers)) === null) await server.stop()
    else sides.push({ name: HITS, server, headers, goesUpstream: false })
  }
  return sides
}

/** @throws where the upstream saw more or fewer requests than the side's name promises. */
async function measureSide(
  stand: GateStand,
  upstream: FixedUpstream,
  { name, server, headers, goesUpstream }: Side,
  seconds: number,
): Promise<{ readonly perSecond: number; readonly cost: number }> {
  server.emptyLog()
  const [before, usedBefore] = [await upstream.countRequests(), readProcessorTime(server.pid)]
  const url = `http://127.0.0.1:${String(server.port)}${TARGET}`
  const { requests, perSecond } = await runWrk(stand.directory, {
    url,
    headers,
    connections: CONNECTIONS,
    seconds,
  })
  const cost = (readProcessorTime(server.pid) - usedBefore) / requests
  const seen = (await upstream.countRequests()) - before
  if (goesUpstream === true && seen < requests)
    throw new Error(`${name}: ${String(requests)} answers, ${String(seen)} upstream`)
  if (goesUpstream !== false) return { perSecond, cost }
  const mark = await waitForHit(server.port, headers)
  if (mark !== 'HIT' || seen > requests / 100)
    throw new Error(`${name}: X-Cache ${String(mark)}, ${String(seen)} of ${String(requests)} upstream`)
  return { perSecond, cost }
}

/** What was kept may just have grown old: the next answer, or one soon after, is from the cache again. */
async function waitForHit(port: number, headers: Readonly<Record<string, string>>): Promise<string | null> {
  let mark = await askMark(port, headers)
  for (let attempt = 0; attempt < 10 && mark !== 'HIT'; attempt += 1) {
    await sleep(50)
    mark = await askMark(port, headers)
  }
  return mark
}

async function askMark(port: number, headers: Readonly<Record<string, string>>): Promise<string | null> {
  const client = await KeepAliveClient.open(port)
  const answer = await client.ask(buildGet(TARGET, headers))
  client.close()
  if (answer.status !== 200) throw new Error(`status ${String(answer.status)}: ${answer.head}`)
  return readCacheMark(answer)
}

async function startPipe(stand: GateStand, upstreamPort: number): Promise<Running> {
  const port = await findFreePort()
  const file = join(stand.directory, 'bare-pipe.cjs')
  const entry = `import { runBarePipe } from './test/bench/bare-pipe.ts'\nrunBarePipe(${String(port)}, ${String(upstreamPort)})`
  buildProgram(entry, file)
  return stand.startServer('pipe', [process.execPath, file], port, { where: 'under-test' })
}
