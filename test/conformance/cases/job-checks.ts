/** Before a restricted token changes a job, the gate looks at it: only one whose every record is own is written to. */

import { expect } from 'vitest'
import type { Rule } from '../../../src/refusal.ts'
import type { RawAnswer } from '../../support/raw-http.ts'
import type { Bench, SendOptions } from '../bench.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectOutage, expectRefusal, readJson, readPath } from '../expect-answer.ts'
import { postJson } from '../post-json.ts'

const SOURCE = 'CONTRACT API tokens: a restriction confines writes'

interface Change {
  readonly name: string
  readonly request: SendOptions
}

const job = (id: string): string => `/slurm/v0.0.42/job/${id}`
const OWN: readonly Change[] = [
  { name: 'update', request: postJson(job('101'), '{"name":"renamed"}') },
  { name: 'update naming its own account', request: postJson(job('101'), '{"account":"proj_a"}') },
  { name: 'cancel', request: { method: 'DELETE', target: job('101') } },
  { name: 'signal', request: { method: 'DELETE', target: `${job('101')}?signal=USR1` } },
]

const own: readonly ConformanceCase[] = OWN.map(({ name, request }) => ({
  name: `${name}: a job of the own account is looked at first, by the same user and version, then changed`,
  source: 'slurm.md: check before write',
  async run(bench) {
    const answer = await bench.sendAs('confined', request)
    expect(answer.status, answer.body.toString('utf8')).toBe(200)
    const [look, change, ...others] = bench.world.upstream.operations
    expect(others).toEqual([])
    expect([look?.method, look && readPath(look)]).toEqual(['GET', job('101')])
    expect([change?.method, change && readPath(change)]).toEqual([request.method, job('101')])
    const user = (headers: typeof look): unknown =>
      headers?.headers.find(([key]) => key.toLowerCase() === 'x-slurm-user-name')?.[1]
    expect([user(look), user(change)]).toEqual([bench.userName, bench.userName])
  },
}))

function expectNoWrite(bench: Bench): void {
  expect(bench.world.upstream.operations.filter(({ method }) => method !== 'GET')).toEqual([])
}

function readErrors(answer: RawAnswer): unknown {
  return (readJson(answer) as { errors: unknown }).errors
}

const FOREIGN: readonly Change[] = ['102', '103'].flatMap((id) => [
  { name: `update of ${id}`, request: postJson(job(id), '{"name":"renamed"}') },
  { name: `cancelling ${id}`, request: { method: 'DELETE', target: job(id) } },
])

const foreign: readonly ConformanceCase[] = [
  ...FOREIGN.map(({ name, request }): ConformanceCase => ({
    name: `${name} (102: another account; 103: a part in another account) is refused before any write`,
    source: 'slurm.md: every record returned must be own',
    async run(bench) {
      for (const token of ['confined', 'manager'] as const) {
        expectOutage(await bench.sendAs(token, request), 'account_mismatch')
        expectNoWrite(bench)
      }
    },
  })),
  {
    name: 'an unknown job and a foreign job look alike to a token that may not read',
    source: 'slurm.md: check before write',
    async run(bench) {
      const cancel = (id: string): Promise<RawAnswer> =>
        bench.sendAs('manager', { method: 'DELETE', target: job(id) })
      const [unknown, foreign] = [await cancel('999'), await cancel('102')]
      for (const answer of [unknown, foreign]) expectOutage(answer, 'account_mismatch')
      expect(readErrors(unknown)).toEqual(readErrors(foreign))
      expectNoWrite(bench)
    },
  },
  {
    name: 'an update cannot move a job to another account or name another job',
    source: SOURCE,
    async run(bench) {
      for (const [body, rule] of [
        ['{"account":"proj_b"}', 'account_mismatch'],
        ['{"name":"x","job_id":102}', 'job_field_not_allowed'],
        ['{"ACCOUNT":"proj_b"}', 'job_field_not_allowed'],
      ] as const) {
        expectRefusal(bench, await bench.sendAs('confined', postJson(job('101'), body)), rule)
      }
    },
  },
  {
    name: 'the look before a write never comes from a cache',
    source: "CONTRACT API tokens: the gate's own check never comes from a cache",
    async run(bench) {
      const cancel = { method: 'DELETE', target: job('101') }
      expect((await bench.sendAs('confined', cancel)).status).toBe(200)
      bench.world.upstream.behaviour.answer = ({ method }) =>
        method === 'GET'
          ? {
              status: 200,
              contentType: 'application/json',
              body: '{"jobs":[{"job_id":101,"account":"proj_b"}],"errors":[]}',
            }
          : null
      expectOutage(await bench.sendAs('confined', cancel), 'account_mismatch')
      const writes = bench.world.upstream.operations.filter(({ method }) => method === 'DELETE')
      expect(writes).toHaveLength(1)
    },
  },
]

/** What slurmrestd could answer to the look at job 101, and what the client is told then. */
const LOOKS: readonly (readonly [answer: string, rule: Rule])[] = [
  ['{"jobs":[],"errors":[]}', 'account_mismatch'],
  ['{"errors":[]}', 'account_mismatch'],
  ['{"jobs":[{"job_id":101}]}', 'account_mismatch'],
  ['{"jobs":[{"job_id":101,"account":""}]}', 'account_mismatch'],
  ['{"jobs":[{"job_id":101,"account":null}]}', 'account_mismatch'],
  ['{"jobs":[{"job_id":101,"account":["proj_a"]}]}', 'account_mismatch'],
  ['{"jobs":[{"job_id":101,"account":"proj_a"},{"job_id":101,"account":"proj_b"}]}', 'account_mismatch'],
  ['{"jobs":[{"job_id":102,"account":"proj_a"}]}', 'job_check_failed'],
  ['{"jobs":[101]}', 'job_check_failed'],
  ['{"jobs":[{"job_id":101,"account":"proj_a"}],"errors":[{}]}', 'job_check_failed'],
  ['not json', 'job_check_failed'],
  ['', 'job_check_failed'],
]

const looks: readonly ConformanceCase[] = LOOKS.map(([body, rule]) => ({
  name: `a look that answers ${body === '' ? 'nothing' : body} lets nothing be written: ${rule}`,
  source: 'slurm.md: check before write',
  async run(bench) {
    bench.world.upstream.behaviour.answer = ({ method }) =>
      method === 'GET' ? { status: 200, contentType: 'application/json', body } : null
    expectOutage(await bench.sendAs('confined', { method: 'DELETE', target: job('101') }), rule)
    expectNoWrite(bench)
  },
}))

export const JOB_CHECK_CASES: readonly ConformanceCase[] = [...own, ...foreign, ...looks]
