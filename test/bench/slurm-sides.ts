/** The sides of the rows with a real slurmrestd: itself, the proxies without auth, and gateways without and with a cache. */

import { join } from 'node:path'
import { buildProgram } from '../support/build-program.ts'
import { findFreePort } from '../support/free-port.ts'
import { CountingRelay } from './counting-relay.ts'
import type { GateStand } from './gate-stand.ts'
import { writeProxy } from './nginx.ts'
import type { SlurmStand } from './slurm-stand.ts'

export type Headers = Readonly<Record<string, string>>

export interface Side {
  readonly name: string
  readonly port: number
  readonly headers: Headers
}

export interface SlurmSides {
  readonly direct: Side
  readonly nginx: Side
  readonly pipe: Side
  readonly uncached: Side
  /** With default settings, behind the relay that counts. */
  readonly cached: Side
  readonly relay: CountingRelay
  /** What clients of two identities send to a gateway. */
  readonly identities: readonly [Headers, Headers]
}

/** Nobody has a core of its own here: slurmrestd and slurmctld use them all. */
const ANYWHERE = { where: 'anywhere' } as const

export async function startSlurmSides(stand: GateStand, real: SlurmStand): Promise<SlurmSides> {
  const { slurm, port, ownHeaders } = real
  const relay = await CountingRelay.start(port)
  stand.onStop(() => relay.stop())
  const startGateway = async (to: number, settings: Headers): Promise<number> => {
    const key = { SLURM_JWT_HS256_KEY_FILE: slurm.hs256KeyFile }
    const environment = stand.buildGatewayEnvironment(to, { ...key, ...settings })
    return (await stand.startGateway(environment, 'anywhere')).port
  }
  const bearer = async (user: string): Promise<Headers> => ({
    Authorization: `Bearer ${await stand.issueToken(user)}`,
  })
  const identities = [await bearer('alice'), await bearer('bob')] as const
  const [headers] = identities
  return {
    direct: { name: 'slurmrestd directly', port, headers: ownHeaders },
    nginx: { name: 'nginx proxy_pass', port: await startNginx(stand, port), headers: ownHeaders },
    pipe: { name: 'node:http pipe', port: await startPipe(stand, port), headers: ownHeaders },
    uncached: {
      name: 'gateway, uncached',
      port: await startGateway(port, { CACHE_TTL_SECONDS: '0' }),
      headers,
    },
    cached: { name: 'gateway, default settings', port: await startGateway(relay.port, {}), headers },
    relay,
    identities,
  }
}

async function startNginx(stand: GateStand, upstreamPort: number): Promise<number> {
  const port = await findFreePort()
  const command = writeProxy(stand.directory, 'slurm', port, upstreamPort)
  await stand.startServer('slurm-nginx', command, port, ANYWHERE)
  return port
}

async function startPipe(stand: GateStand, upstreamPort: number): Promise<number> {
  const port = await findFreePort()
  const file = join(stand.directory, 'slurm-pipe.cjs')
  const call = `runBarePipe(${String(port)}, ${String(upstreamPort)})`
  buildProgram(`import { runBarePipe } from './test/bench/bare-pipe.ts'\n${call}`, file)
  await stand.startServer('slurm-pipe', [process.execPath, file], port, ANYWHERE)
  return port
}
