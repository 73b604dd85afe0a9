/** facts/slurm.md 11: a bulk call of a restricted token names each of its jobs, under the account filter. */

import { describe, expect, it } from 'vitest'
import { confineJobList, type JobListShape } from '../../src/document/job-list.ts'
import { parseJson, serializeJson } from '../../src/document/json-document.ts'
import { JOB_LIST_MAX } from '../../src/limits.ts'
import { encode } from './in-memory-ports.ts'

function confine(text: string, account: string | null = 'own', shape: JobListShape = 'kill-list') {
  const document = parseJson(encode(text))
  if (document.type === 'problem') throw new Error(document.text)
  const ids = confineJobList(document, shape, account)
  return 'kind' in ids
    ? { rule: ids.rule, description: ids.description }
    : { ids, sent: serializeJson(document) }
}

const list = (count: number) =>
  JSON.stringify({ jobs: Array.from({ length: count }, (_, index) => String(index + 1)) })

describe('a restricted token', () => {
  it.each([
    ['strings', '{"jobs":["7","8"]}', ['7', '8'], '{"jobs":["7","8"],"account":"own"}'],
    ['numbers', '{"jobs":[7]}', ['7'], '{"jobs":["7"],"account":"own"}'],
    ['an id twice', '{"jobs":["7",7]}', ['7'], '{"jobs":["7"],"account":"own"}'],
    ['its account', '{"account":"OWN","jobs":["7"]}', ['7'], '{"account":"own","jobs":["7"]}'],
    ['an empty account', '{"account":"","jobs":["7"]}', ['7'], '{"account":"own","jobs":["7"]}'],
    ['null for an account', '{"account":null,"jobs":["7"]}', ['7'], '{"account":"own","jobs":["7"]}'],
    [
      'a signal and flags',
      '{"jobs":["7"],"signal":"SIGTERM","flags":["FULL_JOB"]}',
      ['7'],
      '{"jobs":["7"],"signal":"SIGTERM","flags":["FULL_JOB"],"account":"own"}',
    ],
  ])('may list its jobs, with %s', (_, text, ids, sent) => {
    expect(confine(text)).toEqual({ ids, sent })
  })

  it.each(['TERM', 'sigkill', 'USR1', '9', 10, null])('may say the signal %j', (signal) => {
    expect(confine(JSON.stringify({ jobs: ['7'], signal })).ids).toEqual(['7'])
  })

  it.each(['WINCH', 'USR1,KILL', '', 0, 999, true, ['TERM'], { number: 9 }])('may not say the signal %j', (signal) => {
    for (const account of ['own', null]) {
      expect(confine(JSON.stringify({ jobs: ['7'], signal }), account).rule).toBe('job_malformed')
    }
  }) // prettier-ignore

  it('gets no account filter where there is none: requeue', () => {
    expect(confine('{"jobs":["7"],"flags":["Hold"]}', 'own', 'requeue-list')).toEqual({
      ids: ['7'],
      sent: '{"jobs":["7"],"flags":["Hold"]}',
    })
    expect(confine('{"jobs":["7"],"account":"own"}', 'own', 'requeue-list').rule).toBe(
      'job_field_not_allowed',
    )
  })

  it.each(['{}', '{"jobs":[]}', '{"account":"own"}', '{"signal":"TERM","flags":["VERBOSE"]}'])(
    'is told to list its jobs: %s',
    (text) => {
      for (const shape of ['kill-list', 'requeue-list'] as const) {
        if (shape === 'requeue-list' && /account|signal/.test(text)) continue
        const refused = confine(text, 'own', shape)
        expect(refused.rule).toBe('operation_closed')
        expect(refused.description).toContain('{"jobs": ["123", "124"]}')
      }
    },
  )

  it.each([
    'user_name',
    'user_id',
    'partition',
    'qos',
    'job_state',
    'job_name',
    'nodes',
    'reservation',
    'wckey',
  ])('may not filter by %s, alone or beside a list', (filter) => {
    for (const more of ['', ',"jobs":["7"]', ',"account":"own","jobs":["7"]']) {
      expect(confine(`{"${filter}":["x"]${more}}`)).toMatchObject({ rule: 'operation_closed' })
    }
  })

  it.each([
    '7_1',
    '7+1',
    '07',
    '0',
    '-7',
    '7.0',
    '7.batch',
    '7e0',
    ' 7',
    '',
    'all',
    '4294967294',
    '7_[1-3]',
    '7,8',
  ])('names whole jobs in one form only: %j is refused', (id) => {
    expect(confine(JSON.stringify({ jobs: ['7', id] })).rule).toBe('job_malformed')
  })

  it.each(['7.0', '-7', '1e1', 'null', 'true', '["7"]', '{"job_id":7}', '{}'])(
    'names jobs by strings or plain numbers: %s is refused',
    (item) => {
      expect(confine(`{"jobs":[${item}]}`).rule).toBe('job_malformed')
    },
  )

  it.each(['"7"', '7', '{"0":"7"}', 'null'])('gives its jobs as an array, not as %s', (jobs) => {
    expect(confine(`{"jobs":${jobs}}`).rule).toBe('job_malformed')
  })

  it.each([
    ['job_field_not_allowed', '["FEDERATION_REQUEUE"]'],
    ['job_field_not_allowed', '["CRON_JOBS"]'],
    ['job_field_not_allowed', '["NO_SIBLING_JOBS"]'],
    ['job_field_not_allowed', '["RESERVATION_JOB"]'],
    ['job_field_not_allowed', '["full_job"]'],
    ['job_malformed', '"FULL_JOB"'],
    ['job_malformed', '[1]'],
  ])('%s: flags %s', (rule, flags) => {
    expect(confine(`{"jobs":["7"],"flags":${flags}}`).rule).toBe(rule)
  })

  it.each([
    ['account_mismatch', '"oth"'],
    ['account_mismatch', '"own "'],
    ['account_mismatch', '"\u212a"'],
    ['account_mismatch', '["own"]'],
    ['account_mismatch', '7'],
  ])('%s: account %s', (rule, account) => {
    expect(confine(`{"jobs":["7"],"account":${account}}`).rule).toBe(rule)
  })
})

describe('any token', () => {
  it('may use every documented filter where it is not restricted, and the parts of a job', () => {
    const text =
      '{"account":"oth","partition":"p","jobs":["7_1","8+1"],"user_name":"bob","flags":["CRON_JOBS"]}'
    expect(confine(text, null)).toEqual({ ids: ['7_1', '8+1'], sent: text })
    expect(confine('{"partition":"p"}', null)).toEqual({ ids: [], sent: '{"partition":"p"}' })
  })

  it.each(['ACCOUNT', 'job', 'jobs ', 'job_id', '__proto__', 'constructor'])(
    'may not use the key %s',
    (key) => {
      for (const account of [null, 'own']) {
        expect(confine(`{"jobs":["7"],${JSON.stringify(key)}:"x"}`, account).rule).toBe(
          'job_field_not_allowed',
        )
      }
    },
  )

  it.each(['[]', '"x"', '7', 'null', '[{"jobs":["7"]}]'])('sends an object, not %s', (text) => {
    for (const account of [null, 'own']) expect(confine(text, account).rule).toBe('job_malformed')
  })

  it(`lists ${JOB_LIST_MAX} jobs at most`, () => {
    for (const account of [null, 'own']) {
      expect(confine(list(JOB_LIST_MAX), account)).toHaveProperty('ids.length', JOB_LIST_MAX)
      expect(confine(list(JOB_LIST_MAX + 1), account).rule).toBe('job_malformed')
    }
  })
})
