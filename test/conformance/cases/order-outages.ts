/** While a dependency is gone, what is refused before it is asked is still refused as what it is. */

import type { ConformanceCase } from '../conformance-case.ts'
import { expectRefusal } from '../expect-answer.ts'

const SOURCE = 'CONTRACT HTTP, First match wins'
const JSON_BODY = ['Content-Type', 'application/json'] as const
const SUBMIT = '/slurm/v0.0.42/job/submit'

export const ORDER_OUTAGE_CASES: readonly ConformanceCase[] = [
  {
    name: 'while slurmrestd is gone, refusals stay refusals',
    source: `${SOURCE}: upstream is last`,
    async run(bench) {
      await bench.world.relays.upstream.cut()
      try {
        const submit = { method: 'POST', target: SUBMIT, headers: [JSON_BODY] }
        const other = { ...submit, body: '{"job":{"account":"proj_b","script":"#!/bin/sh"}}' }
        expectRefusal(bench, await bench.sendAs('confined', other), 'account_mismatch')
        expectRefusal(bench, await bench.sendAs('confined', { ...submit, body: '{' }), 'json_malformed')
        expectRefusal(
          bench,
          await bench.sendAs('free', { target: '/slurm/v0.0.99/jobs' }),
          'version_not_served',
        )
        expectRefusal(bench, await bench.sendAs('accountingReader'), 'insufficient_scope')
        expectRefusal(bench, await bench.send({}), 'credential_missing')
      } finally {
        await bench.world.relays.upstream.restore()
      }
    },
  },
  {
    name: 'while Postgres is gone, what needs no look-up is still refused as what it is',
    source: 'CONTRACT API tokens: a wrong checksum is refused without a look-up',
    async run(bench) {
      await bench.world.relays.database.cut()
      try {
        expectRefusal(bench, await bench.send({}), 'credential_missing')
        const wrong = `${bench.tokens.free.text.slice(0, -1)}${bench.tokens.free.text.endsWith('A') ? 'B' : 'A'}`
        const headers = [['Authorization', `Bearer ${wrong}`] as const]
        expectRefusal(bench, await bench.send({ headers }), 'token_malformed')
        const slurmToken = [['X-Slurm-User-Token', bench.makeSlurmToken()] as const]
        expectRefusal(bench, await bench.send({ headers: slurmToken }), 'slurm_token_presented')
      } finally {
        await bench.world.relays.database.restore()
        await bench.waitUntilReady()
      }
    },
  },
]
