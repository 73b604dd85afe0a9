/** The decision alone, in memory: nothing harmful is ever sent on, judged by a model that knows only the daemons. */

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ATTACK_CLASSES } from './attacks/all.ts'
import { isRestricted, SCOPES_OF } from './attacks/scopes.ts'
import { createDecisionGate, STILL_IDS, type Decision } from './decision-gate.ts'
import { CLOSED_KINDS, describeRequest, type HostileRequest } from './hostile-request.ts'
import { generateHostileRequests } from './hostile-requests.ts'
import { requireNone, report, scale, SEED } from './share.ts'
import { findHarm, type Leave, type Suspect } from './worst-case.ts'

const VERSIONS = [36, 37, 38, 39, 40, 41, 42, 43, 44, 45]
const REQUESTS = scale(100_000)
/** Of the generated requests; fewer, and the run says little. */
const FORWARDED_SHARE_LEAST = 1 / 5
const HONEST_SHARE_LEAST = 1 / 40
/** What the Web's Request cannot express is tried on the real Slurms alone, over raw sockets. */
const INEXPRESSIBLE_SHARE_MOST = 1 / 200
/** Of the listed attacks these alone: the Fetch standard's Request takes no URL with a user in it. */
const INEXPRESSIBLE_TARGET = /^http:\/\/[^/]*@/
const OWN = new Set(
  Object.entries(STILL_IDS).flatMap(([kind, id]) =>
    !(CLOSED_KINDS as readonly string[]).includes(kind) ? [id] : [],
  ),
)
const gate = createDecisionGate(VERSIONS)

test(`of ${REQUESTS} generated requests none makes the gate send what is not allowed`, async () => {
  const counts = { requests: 0, forwarded: 0, honest: 0, inexpressible: 0 }
  const startedAt = Date.now()
  const requests = generateHostileRequests({
    versions: VERSIONS,
    callers: [
      { caller: 'bound', weight: 6 },
      { caller: 'reader', weight: 1 },
      { caller: 'manager', weight: 1 },
      { caller: 'accountant', weight: 1 },
      { caller: 'free', weight: 2 },
      { caller: 'admin', weight: 1 },
      { caller: 'munge', weight: 2 },
    ],
  })
  await fc.assert(
    fc.asyncProperty(requests, async (request) => {
      const decision = await gate.decide(request)
      counts.requests += 1
      if (decision === null) {
        counts.inexpressible += 1
        return
      }
      const writes = decision.sent.filter((sent) => !isLook(sent, request))
      if (writes.length > 0) counts.forwarded += 1
      const problem = findProblem(request, decision)
      if (problem !== null) throw new Error(`${problem}\n${describeRequest(request)}`)
      if (request.isHonest) {
        counts.honest += 1
        if (writes.length !== 1)
          throw new Error(`an honest request was refused: ${decision.text}\n${describeRequest(request)}`)
      }
    }),
    { numRuns: REQUESTS, seed: SEED, endOnFailure: false },
  )
  const seconds = (Date.now() - startedAt) / 1000
  report(
    `decision: ${counts.requests} generated requests, ${counts.forwarded} of them sent on, ${counts.honest} honest and none refused, ` +
      `0 harmful, ${counts.inexpressible} not to be expressed (${Math.round(counts.requests / seconds)}/s, seed ${SEED})`,
  )
  expect(counts.forwarded).toBeGreaterThan(counts.requests * FORWARDED_SHARE_LEAST)
  expect(counts.honest).toBeGreaterThan(counts.requests * HONEST_SHARE_LEAST)
  expect(counts.inexpressible).toBeLessThan(counts.requests * INEXPRESSIBLE_SHARE_MOST)
})

for (const [name, build] of Object.entries(ATTACK_CLASSES)) {
  test(`${name}: no attack is sent on, in any version`, async () => {
    const problems: string[] = []
    let inexpressible = 0
    for (const attack of VERSIONS.flatMap(build)) {
      const decision = await gate.decide(attack.request)
      if (decision === null) {
        inexpressible += 1
        if (!INEXPRESSIBLE_TARGET.test(attack.request.target))
          problems.push(`not to be expressed\n${describeRequest(attack.request)}`)
        continue
      }
      const writes = decision.sent.filter((sent) => !isLook(sent, attack.request))
      const problem =
        findProblem(attack.request, decision) ??
        (attack.expect === 'refused' && (decision.status < 400 || decision.status > 499 || writes.length > 0)
          ? `answered with ${decision.status}, ${writes.length} sent on`
          : null)
      if (problem !== null) problems.push(`${problem}\n${describeRequest(attack.request)}`)
    }
    if (inexpressible > 0)
      report(`decision: ${inexpressible} attacks of the class ${name} not to be expressed`)
    requireNone(problems)
  })
}

/** The gate's own look at a job: a client that asks for the same with GET means it. */
function isLook(sent: Suspect, request: HostileRequest): boolean {
  const isGet = sent.method === 'GET' && /^\/slurm\/v0\.0\.\d+\/job\/\d+$/.test(sent.target)
  return isGet && (request.method !== 'GET' || /\/requeue/.test(request.target))
}

function findProblem(request: HostileRequest, decision: Decision): string | null {
  if (decision.status >= 500) return `the gate answered ${decision.status}: ${decision.text}`
  if (decision.sent.filter((sent) => !isLook(sent, request)).length > 1)
    return 'more than one request sent on'
  for (const sent of decision.sent) {
    const harm = findHarm(sent, leaveOf(request))
    if (harm !== null) return `${harm}: ${sent.method} ${sent.target} ${sent.body}`
  }
  return null
}

function leaveOf({ caller }: HostileRequest): Leave {
  const isMunge = caller === 'munge'
  return {
    slurmUser: 'alice',
    isMunge,
    scopes: new Set(isMunge ? [] : SCOPES_OF[caller]),
    account: !isMunge && isRestricted(caller) ? 'ownerlab' : null,
    isOwn: (id) => OWN.has(id),
  }
}
