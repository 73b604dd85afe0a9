/** The listed attacks against one real Slurm, one after the other: each answered with 4xx, and nothing of it at the relay. */

import { Attacker } from './attacker.ts'
import type { Attack } from './attacks/attack.ts'
import { describeRequest } from './hostile-request.ts'
import { findCredential, isLook } from './hostile-run.ts'
import type { Fixtures } from './job-fixtures.ts'
import type { RealSlurm } from './real-slurm.ts'
import { describeForwarded } from './recording-relay.ts'

/** @returns what went wrong, each with its request. */
export async function runAttacks(
  slurm: RealSlurm,
  fixtures: Fixtures,
  attacks: readonly Attack[],
): Promise<string[]> {
  const problems: string[] = []
  const credentials: string[] = []
  const attacker = new Attacker(slurm.gatewayPort)
  for (const { request, expect } of attacks) {
    slurm.relay.take()
    const credential = findCredential(slurm, request.caller, credentials)
    const answer = await attacker.send(request, fixtures.ids(), credential)
    const sent = slurm.relay.take().filter((record) => !isLook(record))
    const writes = expect === 'refused' ? sent : sent.filter(({ method }) => method !== 'GET')
    // Node's parser too answers what it cannot read, with 400: silence is a fault of the gate.
    if (writes.length === 0 && answer !== null && isExpected(answer.status, expect)) continue
    const end =
      answer === null ? `no answer: ${attacker.fault ?? ''}` : `${answer.status} ${answer.text.slice(0, 300)}`
    problems.push(`${describeRequest(request)}\n    -> ${end}\n${writes.map(describeForwarded).join('\n')}`)
  }
  attacker.close()
  return problems
}

function isExpected(status: number, expect: Attack['expect']): boolean {
  return status < 500 && (status >= 400 || expect === 'no-write')
}
