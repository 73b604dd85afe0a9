/** CONTRACT "HTTP" (400 query), facts/slurm.md 3 and 13: listed names, each once, with values that crash no daemon. */

import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { buildQuery, readCall } from '../../src/call.ts'
import type { Principal } from '../../src/principal.ts'
import { isRefusal } from '../../src/refusal.ts'
import { ROUTES } from '../../src/policy/route-table.ts'
import { findQueryRule } from '../../src/policy/query-rules.ts'
import {
  ALL_VERSIONS,
  buildToken,
  createStream,
  MUNGE_ALICE,
  requireOperation,
  ruleOf,
} from './in-memory-ports.ts'
import { fillTemplate } from './slurm-routes.ts'

const FREE = buildToken(['slurm:read', 'slurm:jobs:manage'])
const JOBS = 'GET /slurm/v0.0.42/jobs'
const SUBMIT = 'POST /slurm/v0.0.42/job/submit'

interface Given {
  readonly call: string
  readonly search: string
  readonly principal?: Principal
}

/** A POST comes with a body that nothing is wrong with. */
function read({ call, search, principal = FREE }: Given) {
  const [method = '', path = ''] = call.split(' ')
  const isPost = method === 'POST'
  const headers = new Headers(isPost ? { 'content-type': 'application/json', 'content-length': '2' } : {})
  const source = { search, headers, readBody: () => (isPost ? createStream(['{}']).stream : null) }
  return readCall(source, requireOperation(method, path), principal, 1000)
}
const ruleFor = async (given: Given) => ruleOf(await read(given))

async function queryOf(given: Given) {
  const call = await read(given)
  if (isRefusal(call)) throw new Error(call.rule)
  return call.query
}

const HONEST = [
  '1',
  'true',
  'now',
  'n1',
  'DETAIL',
  'DELETED',
  'PENDING',
  'None',
  'CANCEL',
  'CAPACITY',
] as const
const findGood = (name: string, template: string, version: number) =>
  HONEST.find((value) => findQueryRule(name, template, version).isGood(value))

describe('a query', () => {
  it('takes the names of its route, each of them, and writes them anew', async () => {
    for (const { method, template, query, since, until, oneOf } of ROUTES) {
      for (const name of query) {
        if (oneOf?.includes(name) === false) continue
        const version = ALL_VERSIONS.find((served) => since <= served && served <= until && findGood(name, template, served) !== undefined)
        const value = findGood(name, template, version ?? 0)
        if (version === undefined || value === undefined) throw new Error(`${template}: no value for ${name}`)
        const call = `${method} ${fillTemplate(template, version)}`
        const search = `?${name.replaceAll(' ', '+')}=${value}`
        expect(buildQuery(await queryOf({ call, search, principal: MUNGE_ALICE }))).toBe(`?${encodeURIComponent(name)}=${value}`)
      }
    }
  }) // prettier-ignore

  it.each([
    '?bogus=1', '?account=oth', '?UPDATE_TIME=1', '?flags=DETAIL&bogus', '?__proto__=1', '?constructor=1', '?flags[]=1', '?%20flags=1', '?flags%00=1', '?=1',
  ])('%s is refused, whoever asks', async (search) => {
    for (const principal of [FREE, MUNGE_ALICE]) {
      expect(await ruleFor({ call: JOBS, search, principal })).toMatch(/^query_(not_allowed|malformed)$/)
    }
  }) // prettier-ignore

  it.each([
    '?flags=1&flags=1', '?flags=1&%66lags=2', '?flags=%zz', '?flags=%', '?flags=%ff', '?flags=%c0%af', '?flags=%ed%a0%80', '?flags=%00', '?flags=a%0d%0aX:1',
    '?flags=%1f', '?flags=%7f', '?flags=%09', `?flags=${'x'.repeat(4097)}`, '?%ff=1',
  ])('%s is malformed', async (search) => {
    expect(await ruleFor({ call: JOBS, search })).toBe('query_malformed')
  }) // prettier-ignore

  it.each(['abc', '-1', '1e3', '0x10', '1.5', '99999999999999999999', '%20', '1%2B1'])(
    'update_time=%s is refused: malformed parameters crash real daemons', async (value) => {
      for (const principal of [FREE, MUNGE_ALICE]) {
        const rule = await ruleFor({ call: JOBS, search: `?update_time=${value}`, principal })
        expect(rule).toMatch(/^query_(not_allowed|malformed)$/)
      }
    },
  ) // prettier-ignore

  it.each<[string, string[], string[]]>([
    ['GET /slurm/v0.0.42/jobs/state?job_id=', ['1', '4711'], ['abc', '-1', '0x1', '1e1', '1.0', '%2B1', '01', '4294967294', '99999999999999999999', '%20', '1%3B2']],
    ['DELETE /slurm/v0.0.42/job/7?signal=', ['KILL', 'SIGTERM', '9'], ['%3B', '-9', '9%20', 'KILL%26x', '..%2f', '%C3%A4', '1e1', '0x9']],
    ['GET /slurm/v0.0.42/jobs?flags=', ['DETAIL', 'ALL'], ['ALL,DETAIL', 'DETAIL%26x%3D1', '%3Cb%3E', '..%2f', '%C3%A4']],
  ])('%s takes %j and refuses %j', async (start, good, bad) => {
    const [call = '', rest = ''] = start.split('?')
    for (const principal of [buildToken(['slurm:read', 'slurm:jobs:manage']), MUNGE_ALICE]) {
      for (const value of good) expect(await ruleFor({ call, search: `?${rest}${value}`, principal }), value).toBe('call')
      for (const value of bad) expect(await ruleFor({ call, search: `?${rest}${value}`, principal }), value).toBe('query_malformed')
    }
  }) // prettier-ignore

  it('shows an unknown name only where it is a plain word', async () => {
    const plain = await read({ call: JOBS, search: '?bogus=1' })
    const odd = await read({ call: JOBS, search: '?%3Ccanary%3E=1' })
    expect(JSON.stringify(plain)).toContain('bogus')
    expect(JSON.stringify(odd)).not.toContain('canary')
  })

  it('on POST is refused whatever it is, for its body is what was judged', async () => {
    for (const search of ['?account=oth', '?x', '?script=1&job=2']) {
      for (const principal of [FREE, MUNGE_ALICE]) {
        expect(await ruleFor({ call: SUBMIT, search, principal })).toBe('query_on_post')
      }
    }
    expect(await ruleFor({ call: SUBMIT, search: '?' })).toBe('call')
  })

  it('goes upstream in characters that mean nothing to a URL, whatever it was', async () => {
    const text = fc.oneof(fc.string(), fc.constantFrom('a&b=c', '#', '?', '%26', '+', 'ä', '/../'))
    const call = 'GET /slurmdb/v0.0.42/jobs'
    await fc.assert(
      fc.asyncProperty(text, text, async (users, reason) => {
        const search = `?users=${encodeURIComponent(users)}&reason=${encodeURIComponent(reason)}`
        const found = await read({ call, search, principal: MUNGE_ALICE })
        if (isRefusal(found)) return
        const built = buildQuery(found.query)
        expect(built).toMatch(/^\?users=[A-Za-z0-9\-_.!~*'()%]*&reason=[A-Za-z0-9\-_.!~*'()%]*$/)
        expect([...new URLSearchParams(built)]).toEqual([['users', users], ['reason', reason]])
      }),
    )
  }) // prettier-ignore
})

it('a switch without a value is on, as slurmrestd reads it; with an empty one it is refused', async () => {
  const call = 'GET /slurmdb/v0.0.42/users'
  const principal = MUNGE_ALICE
  expect(buildQuery(await queryOf({ call, search: '?with_assocs', principal }))).toBe('?with_assocs=true')
  expect(await ruleFor({ call, search: '?with_assocs=', principal })).toBe('query_malformed')
  expect(await ruleFor({ call, search: '?default_account', principal })).toBe('query_malformed')
})

it('associations are deleted by a filter that says whose, never all of them', async () => {
  for (const call of ['DELETE /slurmdb/v0.0.45/associations', 'DELETE /slurmdb/v0.0.36/association']) {
    for (const search of ['', '?only_defaults=true', '?account=', '?account=,']) {
      expect(await ruleFor({ call, search, principal: MUNGE_ALICE })).toMatch(
        /^query_(malformed|not_allowed)$/,
      )
    }
    expect(await ruleFor({ call, search: '?user=alice', principal: MUNGE_ALICE })).toBe('call')
  }
})

it("leaves nothing as it is that slurmrestd does not take: ! ' ( ) *", async () => {
  const call = 'GET /slurmdb/v0.0.42/jobs'
  const query = await queryOf({ call, search: '?job_name=a!(b)*', principal: MUNGE_ALICE })
  expect(buildQuery(query)).toBe('?job_name=a%21%28b%29%2A')
})
