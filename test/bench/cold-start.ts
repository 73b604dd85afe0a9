/** How long a gateway takes from the start of its process to the first answer, again and again. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { findFreePort } from '../support/free-port.ts'
import { sleep } from '../support/program.ts'
import { CLI_PATH } from '../support/surroundings.ts'
import { atMost, formatTable, type Report } from './findings.ts'
import type { FixedUpstream } from './fixed-upstream.ts'
import type { GateStand } from './gate-stand.ts'
import { buildGet, KeepAliveClient } from './keep-alive-client.ts'
import { findMedian } from './rate-table.ts'

const STARTS = 11
const PROBE_MILLISECONDS = 2
const LIMIT_MILLISECONDS = 30_000

export async function measureColdStart(stand: GateStand, upstream: FixedUpstream): Promise<Report> {
  const environment = stand.buildGatewayEnvironment(upstream.port)
  const times: number[] = []
  // The first one reads the files from the disk, perhaps: all others have them in memory, and so shall it.
  for (let start = -1; start < STARTS; start += 1) {
    const milliseconds = await startOnce(environment)
    if (start >= 0) times.push(milliseconds)
  }
  const row = [findMedian(times), Math.min(...times), Math.max(...times)].map((time) => time.toFixed(0))
  return {
    findings: [
      atMost(
        'cold start, `node` on built JavaScript to the first `/ping`',
        Math.round(findMedian(times)),
        400,
        'ms',
      ),
    ],
    details: [`Cold start, ${String(STARTS)} times\n\n${formatTable(['median ms', 'least', 'most'], [row])}`],
  }
}

async function startOnce(environment: Readonly<Record<string, string>>): Promise<number> {
  const port = await findFreePort()
  const startedAt = performance.now()
  const child = spawn(process.execPath, [CLI_PATH, 'gateway'], {
    env: { PATH: process.env['PATH'], ...environment, PORT: String(port) },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const ended = once(child, 'exit')
  try {
    const until = startedAt + LIMIT_MILLISECONDS
    while (!(await isAnswering(port))) {
      if (child.exitCode !== null || performance.now() > until) throw new Error('the gateway did not start')
      await sleep(PROBE_MILLISECONDS)
    }
    return performance.now() - startedAt
  } finally {
    child.kill('SIGTERM')
    await ended
  }
}

async function isAnswering(port: number): Promise<boolean> {
  const client = await KeepAliveClient.open(port).catch(() => null)
  if (client === null) return false
  const { status } = await client.ask(buildGet('/ping', {}))
  client.close()
  return status === 200
}
