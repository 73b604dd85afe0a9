/** Runs the one list of cases against one runtime, and says at the end how many were passed, failed and skipped. */

import { afterAll, afterEach, beforeAll, describe, test } from 'vitest'
import type { StartTarget, Target } from '../support/gateway-target.ts'
import { requireTestUsers } from '../support/test-user.ts'
import { Bench } from './bench.ts'
import { ACCOUNT_CASES } from './cases/accounts.ts'
import { ANSWER_CASES } from './cases/answers.ts'
import { AUDIT_CASES } from './cases/audit.ts'
import { BODY_CASES } from './cases/bodies.ts'
import { BULK_CASES } from './cases/bulk.ts'
import { CLIENT_CASES } from './cases/clients.ts'
import { CREDENTIAL_CASES } from './cases/credentials.ts'
import { ENDPOINT_CASES } from './cases/endpoints.ts'
import { EXPLAIN_CASES } from './cases/explain.ts'
import { FORWARDING_CASES } from './cases/forwarding.ts'
import { HARMFUL_DOCUMENT_CASES } from './cases/harmful-documents.ts'
import { MUNGE_CASES } from './cases/munge.ts'
import { ORDER_CASES } from './cases/order.ts'
import { OUTAGE_CASES } from './cases/outages.ts'
import { PATH_CASES } from './cases/paths.ts'
import { SCOPE_CASES } from './cases/scopes.ts'
import type { ConformanceCase } from './conformance-case.ts'

/** In this order: outages disturb the surroundings, the audit reads what all the others made the gate print. */
export const GROUPS: readonly (readonly [name: string, cases: readonly ConformanceCase[]])[] = [
  ['credentials', CREDENTIAL_CASES],
  ['MUNGE', MUNGE_CASES],
  ['order of refusals', ORDER_CASES],
  ['versions and paths', PATH_CASES],
  ['scopes', SCOPE_CASES],
  ['accounts', ACCOUNT_CASES],
  ['bulk calls', BULK_CASES],
  ['harmful documents', HARMFUL_DOCUMENT_CASES],
  ['explanations', EXPLAIN_CASES],
  ['bodies and queries', BODY_CASES],
  ['forwarding', FORWARDING_CASES],
  ['answers', ANSWER_CASES],
  ['own endpoints', ENDPOINT_CASES],
  ['off-the-shelf clients', CLIENT_CASES],
  ['outages', OUTAGE_CASES],
  ['audit', AUDIT_CASES],
]

export function runConformance(name: Target['name'], start: StartTarget): void {
  const counts = { passed: 0, failed: 0, skipped: 0 }
  const skipped: string[] = []
  let bench: Bench
  let isStarted = false

  beforeAll(async () => {
    bench = await Bench.start(start)
    isStarted = true
  })

  afterEach(({ task }) => {
    if (task.result?.state === 'fail') counts.failed++
    else if (task.mode === 'run') counts.passed++
  })

  afterAll(async () => {
    if (isStarted) await bench.stop()
    const lines = [
      `conformance on ${name}: ${String(counts.passed)} passed, ${String(counts.failed)} failed, ` +
        `${String(counts.skipped)} skipped of ${String(counts.passed + counts.failed + counts.skipped)}`,
      ...skipped.map((line) => `  skipped: ${line}`),
    ]
    process.stdout.write(`${lines.join('\n')}\n`)
  })

  const { canBeAnyone } = requireTestUsers()
  for (const [group, cases] of GROUPS) {
    describe(group, () => {
      for (const entry of cases) {
        const reason =
          entry.skipOn?.[name] ??
          (entry.needsAnyUser === true && !canBeAnyone
            ? 'needs root, to make credentials of other users'
            : null)
        const title = `${entry.name} [${entry.source}]`
        if (reason !== null) {
          counts.skipped++
          skipped.push(`${title}: ${reason}`)
          test.skip(`${title} (skipped: ${reason})`)
        } else {
          test(title, async () => {
            bench.reset()
            await entry.run(bench)
          })
        }
      }
    })
  }
}
