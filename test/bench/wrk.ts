/** wrk(1) as it is packaged: one thread, so many connections kept alive, and a rate that counts only if every call succeeded. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { requireCommand } from '../../functions/up/command.ts'
import { place } from './cores.ts'

export interface Load {
  readonly url: string
  /** Written into a script that only we can read: a command line is everybody's. */
  readonly headers: Readonly<Record<string, string>>
  readonly connections: number
  readonly seconds: number
}

export interface Measured {
  readonly requests: number
  readonly perSecond: number
}

/** @throws where an answer was 400 or more, or a connection failed. */
export async function runWrk(directory: string, load: Load): Promise<Measured> {
  const script = join(directory, 'load.lua')
  writeFileSync(script, buildScript(load.headers), { mode: 0o600 })
  const bounds = [`-c${String(load.connections)}`, `-d${String(load.seconds)}s`]
  const printed = await requireCommand(
    'wrk',
    place(['wrk', '-t1', '--timeout', '30s', ...bounds, '-s', script, load.url], 'beside'),
    {
      timeoutSeconds: load.seconds + 30,
    },
  )
  const [, requests, microseconds, failed] = (/^counted (\d+) (\d+) (\d+)$/m.exec(printed) ?? []).map(Number)
  if (requests === undefined || microseconds === undefined || requests === 0)
    throw new Error(`wrk counted nothing: ${printed}`)
  if (failed !== 0) throw new Error(`${String(failed)} of ${String(requests)} calls failed: ${printed}`)
  return { requests, perSecond: (requests * 1e6) / microseconds }
}

function buildScript(headers: Load['headers']): string {
  const lines = Object.entries(headers).map(
    ([name, value]) => `wrk.headers[${JSON.stringify(name)}] = ${JSON.stringify(value)}`,
  )
  return `${lines.join('\n')}
function done(summary)
  local e = summary.errors
  local failed = e.connect + e.read + e.write + e.status + e.timeout
  io.write(string.format("\\ncounted %d %d %d\\n", summary.requests, summary.duration, failed))
end
`
}
