/** Runs the one list of cases against one runtime, and says at the end how many were passed, failed and skipped. */

import { afterAll, afterEach, beforeAll, describe, test } from 'vitest'
import type { StartTarget, Target } from '../support/gateway-target.ts'
import { requireTestUsers } from '../support/test-user.ts'
import { Bench } from './bench.ts'
import { ANSWER_CASES } from './cases/answers.ts'
import { AUDIT_CASES } from './cases/audit.ts'
import { BODY_CASES } from './cases/bodies.ts'
import { BULK_CASES } from './cases/bulk.ts'
import { CACHED_ANSWER_CASES } from './cases/cached-answers.ts'
import { CLIENT_CASES } from './cases/clients.ts'
import { CONTENT_TYPE_CASES } from './cases/content-types.ts'
import { ENDPOINT_CASES } from './cases/endpoints.ts'
import { EXPLAIN_CASES } from './cases/explain.ts'
import { FORWARDING_CASES } from './cases/forwarding.ts'
import { FRAMING_CASES } from './cases/framing.ts'
import { HARMFUL_DOCUMENT_CASES } from './cases/harmful-documents.ts'
import { JOB_CHECK_CASES } from './cases/job-checks.ts'
import { MUNGE_CASES } from './cases/munge.ts'
import { MUNGE_ADDRESS_CASES } from './cases/munge-addresses.ts'
import { MUNGE_REPLAY_CASES } from './cases/munge-replays.ts'
import { ORDER_CASES } from './cases/order.ts'
import { ORDER_OUTAGE_CASES } from './cases/order-outages.ts'
import { OUTAGE_CASES } from './cases/outages.ts'
import { PATH_CASES } from './cases/paths.ts'
import { QUERY_CASES } from './cases/queries.ts'
import { RATE_LIMIT_CASES } from './cases/rate-limits.ts'
import { REFUSED_CREDENTIAL_CASES } from './cases/refused-credentials.ts'
import { REFUSED_TOKEN_CASES } from './cases/refused-tokens.ts'
import { REQUEST_BINDING_CASES } from './cases/request-binding.ts'
import { SCOPE_CASES } from './cases/scopes.ts'
import { SUBMISSION_CASES } from './cases/submissions.ts'
import { TOKEN_FORM_CASES } from './cases/token-forms.ts'
import { VERSION_CASES } from './cases/versions.ts'
import type { ConformanceCase } from './conformance-case.ts'

/** In this order: outages disturb the surroundings, the audit reads what all the others made the gate print. */
export const GROUPS: readonly (readonly [name: string, cases: readonly ConformanceCase[]])[] = [
  ['token forms', TOKEN_FORM_CASES],
  ['refused credentials', REFUSED_CREDENTIAL_CASES],
  ['refused tokens', REFUSED_TOKEN_CASES],
  ['MUNGE', MUNGE_CASES],
  ['MUNGE replays', MUNGE_REPLAY_CASES],
  ['MUNGE addresses', MUNGE_ADDRESS_CASES],
  ['request binding', REQUEST_BINDING_CASES],
  ['order of refusals', ORDER_CASES],
  ['order of refusals during outages', ORDER_OUTAGE_CASES],
  ['rate limits', RATE_LIMIT_CASES],
  ['versions', VERSION_CASES],
  ['paths', PATH_CASES],
  ['scopes', SCOPE_CASES],
  ['submissions', SUBMISSION_CASES],
  ['job checks', JOB_CHECK_CASES],
  ['bulk calls', BULK_CASES],
  ['harmful documents', HARMFUL_DOCUMENT_CASES],
  ['explanations', EXPLAIN_CASES],
  ['framing', FRAMING_CASES],
  ['content types', CONTENT_TYPE_CASES],
  ['bodies', BODY_CASES],
  ['queries', QUERY_CASES],
  ['forwarding', FORWARDING_CASES],
  ['answers', ANSWER_CASES],
  ['answers from memory', CACHED_ANSWER_CASES],
  ['own endpoints', ENDPOINT_CASES],
  ['off-the-shelf clients', CLIENT_CASES],
  ['outages', OUTAGE_CASES],
  ['audit', AUDIT_CASES],
]

export function runConformance(
  name: Target['name'],
  start: StartTarget,
  signer: 'gateway' | 'verifier' = 'gateway',
): void {
  const counts = { passed: 0, failed: 0, skipped: 0 }
  const skipped: string[] = []
  let bench: Bench
  let isStarted = false

  beforeAll(async () => {
    bench = await Bench.start(name, start, signer)
    isStarted = true
  })

  afterEach(({ task }) => {
    if (task.result?.state === 'fail') counts.failed++
    else if (task.mode === 'run') counts.passed++
  })

  afterAll(async () => {
    if (isStarted) await bench.stop()
    const lines = [
      `conformance on ${name}${signer === 'verifier' ? ' with the signer' : ''}: ${String(counts.passed)} passed, ${String(counts.failed)} failed, ` +
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
