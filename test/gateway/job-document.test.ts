/** facts/slurm.md 5, 6 and 7: a token's job description has one shape, and a restricted one's account in every component. */

import { describe, expect, it } from 'vitest'
import { confineSubmit, confineUpdate } from '../../src/document/job-document.ts'
import { explain, submit, update } from './confine-document.ts'

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

  it.each(NO_NAMES)('%j is none, for any token', (account) => {
    for (const own of ['own', null]) {
      expect(submit({ job: { account } }, own)).toBe('job_malformed')
      expect(submit({ jobs: [{}, { account }] }, own)).toBe('job_malformed')
    }
  })

  it('and fields that are closed to tokens may be null: generated clients write all they know', () => {
    const job = { clusters: null, crontab: null, user_id: null, name: null }
    expect(submit({ job })).toEqual({ job: { name: null, account: 'own' } })
    expect(explain(confineUpdate, { admin_comment: null })).toBeNull()
    expect(submit({ job: { clusters: '' } })).toBe('job_field_not_allowed')
    expect(submit({ job: { Clusters: null } })).toBe('job_field_not_allowed')
  })

  it('compares ASCII letters alone, as C does: the Kelvin sign is no k', () => {
    expect(submit({ job: { account: '\u212aern' } }, 'kern')).toBe('account_mismatch')
  })

  it('is named with its place', () => {
    expect(explain(confineSubmit, { jobs: [{}, { account: 'oth' }] })).toContain('"jobs[1].account"')
    expect(explain(confineSubmit, { job: { account: 'oth' } })).toContain('"job.account"')
    expect(explain(confineUpdate, { account: 'oth' })).toMatch(/^"account" /)
    expect(explain(confineSubmit, { job: { account: 7 } })).toBe('"job.account" is not a string')
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

  it('is explained', () => {
    expect(explain(confineSubmit, { jobs: [{}, 'x'] })).toContain('"jobs[1]" is not an object')
    expect(explain(confineSubmit, {})).toContain('either "job" or "jobs"')
    expect(explain(confineSubmit, { job: {}, jobs: [] })).toContain('either "job" or "jobs"')
    expect(explain(confineSubmit, { job: {}, user_id: 0 })).toContain(
      '"user_id" does not belong beside the job',
    )
    expect(explain(confineSubmit, { jobs: Array.from({ length: 257 }, () => ({})) })).toContain('256')
  })

  it.each([1, true, [], {}, ['#!/bin/sh']])('a script that is %j is none', (script) => {
    expect(submit({ script, job: {} })).toBe('job_malformed')
    expect(submit({ job: { script } })).toBe('job_malformed')
  })

  it('has its script in the job since v0.0.39, and beside it in every version', () => {
    for (const version of [36, 37, 38]) {
      expect(submit({ job: { script: 'x' } }, 'own', version)).toBe('job_field_not_allowed')
      expect(submit({ script: 'x', job: {} }, 'own', version)).toHaveProperty('script', 'x')
    }
    for (const version of [39, 40, 45]) {
      expect(submit({ job: { script: 'x' } }, 'own', version)).toHaveProperty('job.script', 'x')
      expect(submit({ script: 'x', job: {} }, 'own', version)).toHaveProperty('script', 'x')
    }
  })

  it('keeps script at top level and environment as an object (up to v0.0.38) or in the job and as a list (since)', () => {
    const old = {
      script: '#!/bin/sh\n',
      job: { environment: { PATH: '/bin', account: 'x', http_proxy: '1', HTTP_PROXY: '2' } },
    }
    expect(submit(old, 'own', 38)).toEqual({ ...old, job: { ...old.job, account: 'own' } })
    const recent = { job: { script: '#!/bin/sh\n#SBATCH -A oth\n', environment: ['PATH=/bin'] } }
    expect(submit(recent)).toEqual({ job: { ...recent.job, account: 'own' } })
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

  it.each(['0', '1', '64'])('may set how many tasks of an array run at once: %s', (array) => {
    expect(update({ array })).toEqual({ array })
  })
  it.each(['1-4', '1,2', '%2', '1-4%2', '', ' 1', '-1', '0x4', '1e3', 2, ['1']])('has no list of tasks: %j', (array) => {
    expect(update({ array })).toBe('job_malformed')
    expect(update({ array }, null)).toBe('job_malformed')
    expect(submit({ job: { array: '1-4%2' } }, null)).toEqual({ job: { array: '1-4%2' } })
  }) // prettier-ignore
})
