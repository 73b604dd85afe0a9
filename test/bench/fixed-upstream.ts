/** What stands for slurmrestd where only the gate's own cost counts: always the same 900 bytes, several times as fast as any side. */

import { findFreePort } from '../support/free-port.ts'
import { requestRaw } from '../support/raw-http.ts'
import type { GateStand, Running } from './gate-stand.ts'
import { writeFixedUpstream } from './nginx.ts'

export interface FixedUpstream {
  readonly port: number
  readonly server: Running
  /** How many requests it has had, this one included. */
  countRequests(): Promise<number>
}

export async function startFixedUpstream(stand: GateStand): Promise<FixedUpstream> {
  const port = await findFreePort()
  const command = writeFixedUpstream(stand.directory, port)
  const server = await stand.startServer('upstream', command, port, { where: 'beside' })
  return {
    port,
    server: { ...server, stop: () => Promise.resolve() },
    async countRequests() {
      const { body } = await requestRaw({ host: '127.0.0.1', port }, { method: 'GET', target: '/requests' })
      const counted = /^ \d+ \d+ (\d+)/m.exec(body.toString('latin1'))?.[1]
      if (counted === undefined) throw new Error(`the upstream does not count: ${body.toString('latin1')}`)
      return Number(counted)
    },
  }
}
