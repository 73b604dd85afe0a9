/** facts/slurm.md 5, 6, 7 and 10: a token's job description has listed fields only, and a restricted one's account. */

import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { confineSubmit, confineUpdate } from '../../src/document/job-document.ts'
import { JOB_FIELDS } from '../../src/policy/job-fields.ts'
import { parseJson, serializeJson } from '../../src/document/json-document.ts'
import { encode, ruleOf } from './in-memory-ports.ts'

type Confine = typeof confineSubmit

/** What would go upstream, parsed; or the rule that refuses it. */
function confine(with_: Confine, document: unknown, account: string | null = 'own'): unknown {
  const parsed = parseJson(encode(typeof document === 'string' ? document : JSON.stringify(document)))
  if (parsed.type === 'problem') return 'json_malformed'
  const refusal = with_(parsed, account)
  return refusal === null ? JSON.parse(serializeJson(parsed)) : ruleOf(refusal)
}
const submit = (document: unknown, account?: string | null) => confine(confineSubmit, document, account)
const update = (document: unknown, account?: string | null) => confine(confineUpdate, document, account)

const LEFT_OUT = [{}, { account: null }, { account: '' }]
const OWN = ['own', 'OWN', 'Own']
const FOREIGN = ['oth', 'own ', ' own', 'own,oth', 'own\n', 'ownx', 'o', 'own*', 'ówn', 'own\u200b']
const NO_NAMES = [true, false, 0, 1, ['own'], { own: 1 }, [], {}, { set: true, string: 'own' }]

describe('the account of a submission by a restricted token', () => {
  it.each(LEFT_OUT)('is inserted into %j, whose meaning would be the default account', (job) => {
    expect(submit({ job: { name: 'x', ...job } })).toEqual({ job: { name: 'x', account: 'own' } })
    expect(submit({ jobs: [job, job] })).toEqual({ jobs: [{ account: 'own' }, { account: 'own' }] })
  })

  it.each(OWN)('may be given as %j: Slurm compares in lower case', (account) => {
    expect(submit({ job: { account } })).toEqual({ job: { account: 'own' } })
    expect(submit({ jobs: [{ account }] })).toEqual({ jobs: [{ account: 'own' }] })
  })

  it.each(FOREIGN)('%j is another one', (account) => {
    expect(submit({ job: { account } })).toBe('account_mismatch')
    expect(submit({ jobs: [{ account: 'own' }, { account }] })).toBe('account_mismatch')
  })

  it.each(NO_NAMES)('%j is none', (account) => {
    expect(submit({ job: { account } })).toBe('job_malformed')
  })

  it.each(['ACCOUNT', 'Account', 'aCCOUNT', 'account ', 'account\u200b'])('may not hide as %j', (key) => {
    expect(submit({ job: { [key]: 'oth' } })).toBe('job_field_not_allowed')
    expect(submit({ job: { account: 'own', [key]: 'oth' } })).toMatch(
      /^(job_field_not_allowed|json_malformed)$/,
    )
  })

  it('may not hide behind an escape or a second key', () => {
    expect(submit(String.raw`{"job":{"acc\u006funt":"oth"}}`)).toBe('account_mismatch')
    expect(submit(String.raw`{"job":{"account":"own","acc\u006funt":"oth"}}`)).toBe('json_malformed')
    expect(submit('{"job":{"account":"own"},"job":{"account":"oth"}}')).toBe('json_malformed')
    expect(submit('{"job":{"account":"own"},"JOB":{"account":"oth"}}')).toBe('json_malformed')
  })

  it('is free for a token without a restriction, and then nothing is inserted', () => {
    for (const job of [...LEFT_OUT, { account: 'Oth' }]) expect(submit({ job }, null)).toEqual({ job })
  })
})

describe('the shape of a submission', () => {
  it.each([
    null, true, 1, '"x"', [], [{ job: {} }], {}, { script: 'x' }, { job: null }, { job: [] }, { job: 'x' }, { jobs: {} }, { jobs: [] }, { jobs: [null] },
    { jobs: [{}, 'x'] }, { jobs: [[{}]] }, { job: {}, jobs: [{}] }, { job: {}, jobs: null }, { job: null, jobs: [{}] }, { jobs: Array.from({ length: 257 }, () => ({})) },
  ])('%j is no job description', (document) => {
    expect(submit(document)).toBe('job_malformed')
    expect(submit(document, null)).toBe('job_malformed')
  }) // prettier-ignore

  it.each(['hetjob', 'account', 'JOB', 'Jobs', 'job_id', 'x', '__proto__', '', 'environment', 'user_id'])('has no %j at top level', (key) => {
    for (const account of ['own', null]) expect(submit(`{"job":{},${JSON.stringify(key)}:{}}`, account)).toMatch(/^(job_field_not_allowed|json_malformed)$/)
  }) // prettier-ignore

  it('keeps script at top level and environment as an object (up to v0.0.38) or in the job and as a list (since)', () => {
    const old = { script: '#!/bin/sh\n', job: { environment: { PATH: '/bin', account: 'x' } } }
    expect(submit(old)).toEqual({ ...old, job: { ...old.job, account: 'own' } })
    const recent = { job: { script: '#!/bin/sh\n#SBATCH -A oth\n', environment: ['PATH=/bin'] } }
    expect(submit(recent)).toEqual({ job: { ...recent.job, account: 'own' } })
  })
})

const FORBIDDEN = [
  'user_id', 'group_id', 'clusters', 'cluster_constraint', 'cluster_constraints', 'crontab', 'admin_comment', 'site_factor', 'spank_environment',
  'allocation_node_list', 'allocation_node_port', 'reserve_ports', 'resv_mpi_ports', 'x11', 'x11_magic_cookie', 'x11_target_host', 'x11_target_port',
  'selinux_context', 'job_id', 'step_id', 'hetjob_group', 'het_job_id', 'array_job_id', 'uid', 'unknown', 'NAME', 'name ', '', '__proto__', 'constructor',
] // prettier-ignore

describe('the fields of a job', () => {
  it.each(FORBIDDEN)('%j is open to no token, in submissions and updates', (field) => {
    const text = `{${JSON.stringify(field)}:1}`
    for (const account of ['own', null]) {
      expect(submit(`{"job":${text}}`, account)).toBe('job_field_not_allowed')
      expect(submit(`{"jobs":[{},${text}]}`, account)).toBe('job_field_not_allowed')
      expect(update(text, account)).toBe('job_field_not_allowed')
    }
  })

  it('none that names a user, another job or another cluster is listed', () => {
    expect(FORBIDDEN.filter((field) => JOB_FIELDS.has(field))).toEqual([])
    expect([...JOB_FIELDS].filter((field) => /(^|_)(user|group|uid|gid)_id$|job_id|step_id|hetjob|cluster|x11|admin|selinux/.test(field))).toEqual([])
  }) // prettier-ignore

  it('are shown by name only where the name is a plain word', () => {
    const show = (field: string) => {
      const parsed = parseJson(encode(JSON.stringify({ job: { [field]: 1 } })))
      return parsed.type === 'problem' ? null : confineSubmit(parsed, null)?.description
    }
    expect(show('user_id')).toContain('"user_id"')
    for (const field of ['canary"><b>', 'canary\n', `canary${'x'.repeat(65)}`])
      expect(show(field)).not.toContain('canary')
  })

  it('whatever is added to a document, what goes upstream has listed fields and the own account alone', () => {
    const key = fc.oneof(
      fc.constantFrom(...JOB_FIELDS),
      fc.constantFrom('account', 'ACCOUNT', 'job', 'user_id'),
      fc.string(),
    )
    const job = fc.dictionary(key, fc.oneof(fc.constantFrom('own', 'oth', null, ''), fc.jsonValue()))
    fc.assert(
      fc.property(fc.array(job, { minLength: 1, maxLength: 3 }), fc.boolean(), (jobs, isOne) => {
        const sent = submit(isOne ? { job: jobs[0] } : { jobs })
        if (typeof sent === 'string') return
        const { job: only, jobs: all = [only] } = sent as { job?: object; jobs?: object[] }
        for (const component of all) {
          expect(component).toHaveProperty('account', 'own')
          expect(Object.keys(component ?? {}).filter((field) => !JOB_FIELDS.has(field))).toEqual([])
        }
      }),
    )
  })
})

describe('a dependency', () => {
  it.each(['expand:1', 'EXPAND:1', 'afterok:2,expand:1', 'afterok:2?expand:1', ' expand:1', ['expand:1'], { type: 'expand' }, 1])('%j is refused: it joins another job', (dependency) => {
    for (const account of ['own', null]) {
      expect(submit({ job: { dependency } }, account)).toBe('job_field_not_allowed')
      expect(update({ dependency }, account)).toBe('job_field_not_allowed')
    }
  }) // prettier-ignore

  it.each(['afterok:1', 'singleton', 'afterany:1:2,after:3+5', ''])('%j is taken', (dependency) => {
    expect(submit({ job: { dependency } }, null)).toEqual({ job: { dependency } })
  })
})

describe('an update by a restricted token', () => {
  it.each(LEFT_OUT)('%j leaves the account as it is', (document) => {
    expect(update({ time_limit: 5, ...document })).toEqual({ time_limit: 5 })
  })
  it.each(OWN)('may name its own account as %j', (account) => {
    expect(update({ account })).toEqual({ account: 'own' })
  })
  it.each(FOREIGN)('may not move a job to %j', (account) => {
    expect(update({ account })).toBe('account_mismatch')
  })
  it.each(NO_NAMES)('%j is no account', (account) => {
    expect(update({ account })).toBe('job_malformed')
  })
  it.each([null, [], '"x"', 1])('%j is no update', (document) => {
    expect(update(document)).toBe('job_malformed')
    expect(update(document, null)).toBe('job_malformed')
  })
  it.each(['job', 'jobs'])('has no %s in it', (key) => {
    expect(update({ [key]: { account: 'oth' } })).toBe('job_field_not_allowed')
  })
})
