/** The MUNGE path end to end: a fresh credential for each request, verified in the gateway's process, claimed, forwarded. */

import { join } from 'node:path'
import { requireCommand } from '../../functions/up/command.ts'
import { buildProgram } from '../support/build-program.ts'
import { requireTestUsers } from '../support/test-user.ts'
import { place } from './cores.ts'
import { atLeast, atMost, formatTable, type Report } from './findings.ts'
import type { FixedUpstream } from './fixed-upstream.ts'
import type { GateStand } from './gate-stand.ts'
import type { MungeLoad, MungeMeasured } from './munge-load.ts'
import { findMedian } from './rate-table.ts'

const CONNECTIONS = 8
const BATCHES = 15

export async function measureMungePath(stand: GateStand, upstream: FixedUpstream): Promise<Report> {
  const settings = {
    MUNGE_MODE: 'local',
    MUNGE_SOCKET: stand.munged.socket,
    MUNGE_HOST_BINDING: 'strict',
    REPLAY_GUARD: 'local',
    CACHE_TTL_SECONDS: '0',
  }
  const gateway = await stand.startGateway(
    stand.buildGatewayEnvironment(upstream.port, settings),
    'under-test',
  )
  const before = await upstream.countRequests()
  const {
    rates,
    sent,
    refused: rules,
  } = await runLoad(stand, {
    socketPath: stand.munged.socket,
    port: gateway.port,
    target: '/slurm/v0.0.42/jobs',
    connections: CONNECTIONS,
    batches: BATCHES,
  })
  const seen = (await upstream.countRequests()) - before
  await gateway.stop()
  const refused = Object.values(rules).reduce((sum, count) => sum + count, 0)
  if (seen < sent - refused)
    throw new Error(`${String(sent - refused)} answers to MUNGE callers, ${String(seen)} upstream`)
  const row = [findMedian(rates), Math.min(...rates), Math.max(...rates)].map((rate) => rate.toFixed(0))
  const title = `MUNGE, verified in-process, guard local, ${String(CONNECTIONS)} connections, ${String(sent)} credentials`
  return {
    findings: [
      atLeast('MUNGE path end to end', Math.round(findMedian(rates)), 3000, '/s'),
      atMost('... credentials refused', refused, 0, ''),
    ],
    details: [
      `${title}; refused: ${JSON.stringify(rules)}\n\n${formatTable(['median per second', 'least', 'most'], [row])}`,
    ],
  }
}

/** munged says who asked it: an ordinary user has to. */
async function runLoad(stand: GateStand, load: MungeLoad): Promise<MungeMeasured> {
  const file = join(stand.directory, 'munge-load.cjs')
  const entry = `import { runMungeLoad } from './test/bench/munge-load.ts'\nvoid runMungeLoad(${JSON.stringify(load)})`
  buildProgram(entry, file)
  const uid = String(requireTestUsers().ordinary.uid)
  const user = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--']
  const printed = await requireCommand('the load', place([...user, process.execPath, file], 'beside'), {
    timeoutSeconds: 180,
  })
  return JSON.parse(printed) as MungeMeasured
}
