/**
 * slurmrestd with somebody before it who may answer in its place: a proxy that asks for a log-in or a service credential.
 * What slurmrestd never answers is an outage, so that nobody takes a "no" to the gate for one to the caller.
 */

import { discardBody } from './byte-stream.ts'
import { SLURMRESTD_HOP } from './hop-settings.ts'
import type { Upstream } from './ports.ts'
import { Outage } from './refusal.ts'

export function createGuardedUpstream(upstream: Upstream): Upstream {
  return {
    /** @throws Outage `upstream_unreachable` for an answer of somebody else, too. */
    async send(request) {
      const answer = await upstream.send(request)
      if (isSlurmrestds(answer.status)) return answer
      await discardBody(answer.body)
      throw new Outage('upstream_unreachable', describe(answer.status))
    },
  }
}

/** It never sends 403 (measured), and leads nowhere else; 304 answers an old `update_time`. */
function isSlurmrestds(status: number): boolean {
  return status !== 403 && (status < 300 || status >= 400 || status === 304)
}

function describe(status: number): string {
  const { clientId, clientSecret, certificate } = SLURMRESTD_HOP
  return `somebody before slurmrestd answered ${status}; check ${clientId}, ${clientSecret} or ${certificate}`
}
