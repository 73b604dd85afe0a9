/** `npm run bench`: what the gate costs, side by side with what else there is, on this machine and in this run. */

import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { measureAddedLatency } from './added-latency.ts'
import { measureColdStart } from './cold-start.ts'
import { formatFindings, type Report } from './findings.ts'
import { startFixedUpstream } from './fixed-upstream.ts'
import { GateStand } from './gate-stand.ts'
import { measureLongQueue, measureShortQueue } from './job-lists.ts'
import { describeMachine, formatMachine } from './machine.ts'
import { measureMungePath } from './munge-path.ts'
import { measureOverhead, type OverheadRow } from './overhead.ts'
import { startSlurmSides } from './slurm-sides.ts'
import { startSlurmStand } from './slurm-stand.ts'

const ROWS = ['overhead', 'hits', 'signer', 'munge', 'start', 'ping', 'jobs'] as const
type RowName = (typeof ROWS)[number]

const RESULTS = fileURLToPath(new URL('../../bench/RESULTS.md', import.meta.url))
const PING = '/slurm/v0.0.42/ping'
const FEW_JOBS = 20
const MANY_JOBS = 5_100

const METHOD = `The process under test (gateway, pipe, nginx with one worker) has the first core to itself where the upstream is the fixed
one; wrk, the upstream, Postgres, munged and the signer share the others. With a real slurmrestd nobody has a core of its own. Gateways
run as from the package; their log goes to a file. Where it says uncached they have \`CACHE_TTL_SECONDS=0\`, and with the fixed upstream
as many slots as there are connections, as the other sides do; default settings let one caller have 4, which is the side “4 slots”.
Behind the MUNGE row are \`CACHE_TTL_SECONDS=0\` and \`REPLAY_GUARD=local\`. All else is by default. Sides take turns, and medians of
the rounds are compared. “nginx proxy_pass” is that one line: HTTP/1.0 and a connection to the upstream for each request, as nginx
does by default before 1.29.7; “connections kept” has the lines for HTTP/1.1 and \`keepalive 64\`, as the other sides do. With slurmrestd nginx
keeps them. Each answer is a 200. That uncached answers came from the upstream, and others from the cache, is counted
at the upstream.
`

async function run(isWanted: (row: RowName) => boolean): Promise<string> {
  const machine = describeMachine()
  const reports: Report[] = []
  const stand = await GateStand.start()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void stand.stop().then(() => process.exit(130)))
  let slurm: readonly (readonly [string, string])[] = []
  try {
    if (ROWS.slice(0, 5).some(isWanted)) reports.push(...(await measureFixed(stand, isWanted)))
    if (isWanted('ping') || isWanted('jobs')) {
      const real = await measureReal(stand, isWanted)
      slurm = [['slurmrestd', real.version]]
      reports.push(...real.reports)
    }
  } finally {
    await stand.stop()
  }
  const findings = formatFindings(reports.flatMap((report) => report.findings))
  const details = reports.flatMap((report) => report.details)
  return [findings, formatMachine([...machine, ...slurm]), METHOD, ...details].join('\n')
}

async function measureFixed(stand: GateStand, isWanted: (row: RowName) => boolean): Promise<Report[]> {
  const reports: Report[] = []
  const upstream = await startFixedUpstream(stand)
  const rows = new Set((['overhead', 'hits', 'signer'] satisfies OverheadRow[]).filter(isWanted))
  if (rows.size > 0) reports.push(await measureOverhead(stand, upstream, rows))
  if (isWanted('munge')) reports.push(await measureMungePath(stand, upstream))
  if (isWanted('start')) reports.push(await measureColdStart(stand, upstream))
  return reports
}

async function measureReal(
  stand: GateStand,
  isWanted: (row: RowName) => boolean,
): Promise<{ version: string; reports: Report[] }> {
  const reports: Report[] = []
  const real = await startSlurmStand(stand)
  const sides = await startSlurmSides(stand, real)
  const few = await real.fillQueue(FEW_JOBS)
  if (isWanted('ping')) {
    const { direct, uncached, nginx, pipe } = sides
    reports.push(await measureAddedLatency(PING, [direct, uncached, nginx, pipe]))
  }
  if (isWanted('jobs')) {
    reports.push(await measureShortQueue(sides, few))
    reports.push(await measureLongQueue(sides, await real.fillQueue(MANY_JOBS)))
  }
  return { version: real.version, reports }
}

const asked = process.argv.slice(2)
const unknown = asked.filter((name) => !ROWS.some((row) => row === name))
if (unknown.length > 0) {
  process.stderr.write(`unknown row: ${unknown.join(', ')}; rows are ${ROWS.join(', ')}\n`)
  process.exitCode = 2
} else {
  const report = await run((row) => asked.length === 0 || asked.includes(row))
  process.stdout.write(`${report}\n`)
  if (asked.length === 0) {
    mkdirSync(dirname(RESULTS), { recursive: true })
    writeFileSync(RESULTS, `# What the gate costs\n\nWritten by \`npm run bench\`.\n\n${report}`)
  }
}
