/** Before a restricted token changes a job, the gate looks at it: only one whose every record is own is written to. */

import { expect } from 'vitest'
import type { RawAnswer } from '../../support/raw-http.ts'
import type { Bench, SendOptions } from '../bench.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectNothingForwarded, readJson, readPath } from '../expect-answer.ts'
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

function readRule(answer: RawAnswer): string | undefined {
  return (readJson(answer) as { errors: { error: string }[] }).errors[0]?.error
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
        const answer = await bench.sendAs(token, request)
        expectNoWrite(bench)
        if (token === 'confined') expect([answer.status, readRule(answer)]).toEqual([403, 'account_mismatch'])
        expect(answer.status).toBeGreaterThanOrEqual(403)
      }
    },
  })),
  {
    name: 'an unknown job and a foreign job look alike to a token that may not read',
    source: 'slurm.md: check before write',
    async run(bench) {
      const cancel = (id: string): Promise<RawAnswer> =>
        bench.sendAs('manager', { method: 'DELETE', target: job(id) })
      const strip = (answer: RawAnswer): unknown => [answer.status, readRule(answer)]
      expect(strip(await cancel('999'))).toEqual(strip(await cancel('102')))
      expectNoWrite(bench)
    },
  },
  {
    name: 'an update cannot move a job to another account or name another job',
    source: SOURCE,
    async run(bench) {
      for (const body of ['{"account":"proj_b"}', '{"name":"x","job_id":102}', '{"ACCOUNT":"proj_b"}']) {
        const answer = await bench.sendAs('confined', postJson(job('101'), body))
        expect([400, 403]).toContain(answer.status)
      }
      expectNoWrite(bench)
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
      expect((await bench.sendAs('confined', cancel)).status).toBe(403)
      const writes = bench.world.upstream.operations.filter(({ method }) => method === 'DELETE')
      expect(writes).toHaveLength(1)
    },
  },
  ...[
    '{"jobs":[],"errors":[]}',
    '{"errors":[]}',
    '{"jobs":[{"job_id":101}]}',
    '{"jobs":[{"job_id":101,"account":""}]}',
    '{"jobs":[{"job_id":101,"account":null}]}',
    'not json',
  ].map((body): ConformanceCase => ({
    name: `a look that answers ${body} lets nothing be written`,
    source: 'slurm.md: check before write',
    async run(bench) {
      bench.world.upstream.behaviour.answer = ({ method }) =>
        method === 'GET' ? { status: 200, contentType: 'application/json', body } : null
      const answer = await bench.sendAs('confined', { method: 'DELETE', target: job('101') })
      expect(answer.status).toBeGreaterThanOrEqual(403)
      expectNoWrite(bench)
    },
  })),
]

const BULK = [
  '',
  '?account=proj_b',
  '?user_name=alice',
  '?partition=p',
  '?account=proj_a&account=proj_b',
  '?account=',
]
const bulk: readonly ConformanceCase[] = BULK.map((query) => ({
  name: `DELETE /jobs/${query} cancels nothing outside the account`,
  source: 'slurm.md: bulk',
  async run(bench) {
    const answer = await bench.sendAs('confined', {
      method: 'DELETE',
      target: `/slurm/v0.0.42/jobs/${query}`,
    })
    const writes = bench.world.upstream.operations.filter(({ method }) => method !== 'GET')
    for (const { target, body } of writes) {
      const sent = new URL(target, 'http://upstream').searchParams.getAll('account')
      const named =
        body.length > 0 ? [(JSON.parse(body.toString('utf8')) as { account?: string }).account] : sent
      expect(named).toEqual(['proj_a'])
    }
    if (writes.length === 0) expect([400, 403]).toContain(answer.status)
    if (query.includes('proj_b')) expectNothingForwarded(bench)
  },
}))

export const JOB_CHECK_CASES: readonly ConformanceCase[] = [...own, ...foreign, ...bulk]
