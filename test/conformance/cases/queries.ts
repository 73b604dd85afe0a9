/** Queries: which parameters and values reach slurmrestd, and how every other one is refused. */

import { expect } from 'vitest'
import { findHeader } from '../../support/raw-http.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectForwarded, expectNothingForwarded, expectRefusal, readPath } from '../expect-answer.ts'

const JOBS = '/slurm/v0.0.42/jobs'
const QUERIES_REFUSED = [
  '?bogus=1', '?update_time=1&bogus=1', '?account=proj_b', '?update_time=1&update_time=2', '?update_time=%zz',
  '?update_time=%ff', '?update_time=abc', '?update_time=-1', '?update_time=1%00', '?flags=DETAIL%26x%3D1',
  '?flags=%0d%0aX: 1', '?UPDATE_TIME=1', '?update_time', '?=1', '?update_time=99999999999999999999',
] // prettier-ignore

export const QUERY_CASES: readonly ConformanceCase[] = [
  ...[
    '?update_time=1700000000',
    '?flags=DETAIL',
    '?update_time=1700000000&flags=DETAIL',
    '?flags=ALL&update_time=5',
  ].map((query): ConformanceCase => ({
    name: `the query ${query} reaches slurmrestd`,
    source: 'slurm-routes and the OpenAPI document',
    async run(bench) {
      const request = expectForwarded(bench, await bench.sendAs('free', { target: `${JOBS}${query}` }))
      const sent = new URL(request.target, 'http://upstream').searchParams
      expect([...sent].sort()).toEqual([...new URLSearchParams(query)].sort())
    },
  })),
  {
    name: 'a question mark without a query is no query',
    source: 'RFC 3986 section 3.4',
    async run(bench) {
      const request = expectForwarded(bench, await bench.sendAs('free', { target: `${JOBS}?` }))
      expect(request.target).not.toContain('?')
    },
  },
  ...QUERIES_REFUSED.map((query): ConformanceCase => ({
    name: `the query ${query} is refused for tokens and for MUNGE callers`,
    source: 'slurm.md: malformed ids and parameters crash real daemons',
    async run(bench) {
      for (const answer of [
        await bench.sendAs('free', { target: `${JOBS}${query}` }),
        await bench.sendAsMunge({ target: `${JOBS}${query}` }),
      ]) {
        // A raw space ends the target of a request line: the runtime's parser may say so itself.
        const isRuntime = query.includes(' ') && findHeader(answer, 'content-type') !== 'application/json'
        if (isRuntime) expect(answer.status).toBe(400)
        else expectRefusal(bench, answer, 'query_not_allowed', 'query_malformed')
      }
      expectNothingForwarded(bench)
    },
  })),
  {
    name: 'signal names of DELETE are checked and passed on',
    source: 'slurm.md: malformed ids and parameters crash real daemons',
    async run(bench) {
      const target = '/slurm/v0.0.42/job/101'
      const good = await bench.sendAs('free', { method: 'DELETE', target: `${target}?signal=KILL` })
      const request = expectForwarded(bench, good)
      expect([readPath(request), request.target.split('?')[1]]).toEqual([target, 'signal=KILL'])
      bench.reset()
      const bad = await bench.sendAs('free', { method: 'DELETE', target: `${target}?signal=%00KILL` })
      expectRefusal(bench, bad, 'query_malformed', 'query_not_allowed')
    },
  },
]
