/** Bulk calls: a restricted token names each of its jobs, every one of them is looked at, and only those are touched. */

import { expect } from 'vitest'
import type { Bench, SendOptions } from '../bench.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectForwarded, expectOutage, expectRefusal, readJson } from '../expect-answer.ts'
import type { Rule } from '../../../src/refusal.ts'

const SOURCE = 'slurm.md 11: bulk cancel ANDs its filters; alone, other filters reach every account'

function cancel(body: string | null, target = '/slurm/v0.0.42/jobs/'): SendOptions {
  if (body === null) return { method: 'DELETE', target }
  return { method: 'DELETE', target, headers: [['Content-Type', 'application/json']], body }
}

function operationsOf(bench: Bench): string[] {
  return bench.world.upstream.operations.map(({ method, target }) => `${method} ${target.replace(/\/$/, '')}`)
}

const LISTED: readonly (readonly [name: string, body: string])[] = [
  ['as strings', '{"jobs":["101"]}'],
  ['as numbers, with a trailing comma', '{"jobs":[101,],}'],
  ['twice', '{"jobs":["101",101]}'],
  ['beside its account in capitals', '{"jobs":["101"],"account":"PROJ_A"}'],
]

const REFUSED: readonly (readonly [name: string, body: string | null, rule: Rule])[] = [
  ['no body', null, 'operation_closed'],
  ['an empty filter', '{}', 'operation_closed'],
  ['its account alone', '{"account":"proj_a"}', 'operation_closed'],
  ['an empty list', '{"jobs":[]}', 'operation_closed'],
  ['a user', '{"user_name":"alice"}', 'operation_closed'],
  ['a list and a user', '{"jobs":["101"],"user_name":"alice"}', 'operation_closed'],
  ['another account', '{"jobs":["101"],"account":"proj_b"}', 'account_mismatch'],
  ['a key twice', '{"jobs":["101"],"jobs":["102"]}', 'json_malformed'],
  ['a key in capitals', '{"jobs":["101"],"JOBS":["102"]}', 'json_malformed'],
  ['an unknown key', '{"jobs":["101"],"job_id":102}', 'job_field_not_allowed'],
  ['a task of an array', '{"jobs":["101_1"]}', 'job_malformed'],
  ['a leading zero', '{"jobs":["0101"]}', 'document_harmful'],
  ['a list in a string', '{"jobs":"101,102"}', 'document_harmful'],
]

const QUERIES = [
  '?account=proj_a',
  '?account=proj_b',
  '?account=proj_a&account=proj_b',
  '?account=',
  '?user_name=alice',
  '?partition=p',
]

export const BULK_CASES: readonly ConformanceCase[] = [
  ...LISTED.map(([name, body]): ConformanceCase => ({
    name: `a restricted token cancels its own job, listed ${name}: looked at once, then cancelled under its account`,
    source: SOURCE,
    async run(bench) {
      const answer = await bench.sendAs('confined', cancel(body))
      expect(answer.status, answer.body.toString('utf8')).toBe(200)
      expect(operationsOf(bench)).toEqual(['GET /slurm/v0.0.42/job/101', 'DELETE /slurm/v0.0.42/jobs'])
      const sent = bench.world.upstream.operations[1]
      expect(sent === undefined ? null : readJson(sent)).toEqual({ jobs: ['101'], account: 'proj_a' })
    },
  })),
  ...REFUSED.map(([name, body, rule]): ConformanceCase => ({
    name: `a restricted token may not cancel by ${name}`,
    source: SOURCE,
    async run(bench) {
      const description = expectRefusal(bench, await bench.sendAs('confined', cancel(body)), rule)
      if (body === null || body === '{}') expect(description).toContain('"jobs"')
    },
  })),
  {
    name: 'one foreign job in the list, and none is cancelled',
    source: SOURCE,
    async run(bench) {
      const answer = await bench.sendAs('confined', cancel('{"jobs":["101","102"]}'))
      expectOutage(answer, 'account_mismatch')
      expect(operationsOf(bench).filter((call) => !call.startsWith('GET '))).toEqual([])
    },
  },
  ...QUERIES.map((query): ConformanceCase => ({
    name: `filters go in the body, never in the query: ${query}`,
    source: 'slurm.md 3: parameters travel in more than one place',
    async run(bench) {
      const target = `/slurm/v0.0.42/jobs/${query}`
      for (const body of [null, '{"jobs":["101"]}']) {
        expectRefusal(bench, await bench.sendAs('confined', cancel(body, target)), 'query_not_allowed')
        expectRefusal(bench, await bench.sendAs('free', cancel(body, target)), 'query_not_allowed')
        expectRefusal(bench, await bench.sendAsMunge(cancel(body, target)), 'query_not_allowed')
      }
    },
  })),
  {
    name: 'a token without a restriction cancels by any documented filter, but not by none',
    source: SOURCE,
    async run(bench) {
      const sent = expectForwarded(
        bench,
        await bench.sendAs('free', cancel('{"partition":"p1","user_name":"alice"}')),
      )
      expect(readJson(sent)).toEqual({ partition: 'p1', user_name: 'alice' })
      bench.reset()
      expectRefusal(bench, await bench.sendAs('free', cancel(null)), 'json_malformed')
    },
  },
]
