/** facts/slurm.md 8: before a restricted token changes a job, every record of it has to be in the token's account. */

import { describe, expect, it } from 'vitest'
import { createJobCheck, type JobCheck } from '../../src/job-check.ts'
import { JOB_CHECK_FRESH_MILLISECONDS, JOB_CHECK_MAX_BYTES } from '../../src/limits.ts'
import type { UpstreamAnswer } from '../../src/ports.ts'
import { isRefusal, Outage } from '../../src/refusal.ts'
import type { UpstreamCall } from '../../src/upstream-request.ts'
import { buildAnswer, buildSlurmErrors, buildToken, createStream, outageOf } from './in-memory-ports.ts'

const BOUND = { ...buildToken(['slurm:jobs:manage']), account: 'own' }
const own = (more: object = {}) => ({ job_id: 100, account: 'own', ...more })
const oth = (more: object = {}) => ({ job_id: 100, account: 'oth', ...more })

type Answers = Readonly<Record<string, UpstreamAnswer | Error>>

const NOW = 1_000
const FRESH = { sendBefore: NOW + JOB_CHECK_FRESH_MILLISECONDS }

function setUp(answers: Answers, version = 42, jobIds: readonly string[] = ['100']) {
  const clock = { now: NOW, perLook: 0 }
  const sent: { principal: unknown; call: UpstreamCall }[] = []
  const check = createJobCheck(
    (principal, upstreamCall) => {
      sent.push({ principal, call: upstreamCall })
      clock.now += clock.perLook
      const answer = answers[upstreamCall.target.split('/').at(-1) ?? '']
      if (answer instanceof Error) return Promise.reject(answer)
      return Promise.resolve(answer ?? buildAnswer(404, buildSlurmErrors(2017)))
    },
    () => clock.now,
  )
  return { sent, clock, check: () => check(BOUND, version, jobIds) }
}

const jobs = (...records: unknown[]) => buildAnswer(200, { jobs: records, errors: [], warnings: [] })
const ruleOf = (result: Awaited<ReturnType<JobCheck>>) => (isRefusal(result) ? result.rule : 'allowed')
const verdict = async (answers: Answers): Promise<string> => ruleOf(await setUp(answers).check())
const outage = (answers: Answers) => outageOf(() => setUp(answers).check())

it('looks as the same user, at the same version, at exactly the job that is named, and asks again each time', async () => {
  const { sent, check } = setUp({ 100: jobs(own()) }, 38)
  expect(await check()).toEqual(FRESH)
  const expected = {
    method: 'GET',
    target: '/slurm/v0.0.38/job/100',
    accept: 'application/json',
    body: null,
    sendBefore: null,
  }
  expect(sent).toEqual([{ principal: BOUND, call: expected }])
  await check().catch(() => undefined)
  expect(sent).toHaveLength(2)
})

describe('a list of jobs', () => {
  const own2 = () => ({ 100: jobs(own()), 101: jobs(own({ job_id: 101 })) })

  it('is looked at job by job, each once, and refused at the first that is not own', async () => {
    const good = setUp({ ...own2(), 102: jobs(oth({ job_id: 102 })) }, 45, ['100', '101', '100'])
    expect(await good.check()).toEqual(FRESH)
    expect(good.sent.map(({ call }) => call.target)).toEqual([
      '/slurm/v0.0.45/job/100',
      '/slurm/v0.0.45/job/101',
    ])
    const bad = setUp({ ...own2(), 102: jobs(oth({ job_id: 102 })) }, 45, ['100', '102', '101'])
    expect(ruleOf(await bad.check())).toBe('account_mismatch')
    expect(bad.sent).toHaveLength(2)
  })

  it('counts from before the first look, and is given up when the looks take too long', async () => {
    const slow = setUp(own2(), 45, ['100', '101'])
    slow.clock.perLook = JOB_CHECK_FRESH_MILLISECONDS
    expect(await slow.check()).toEqual(FRESH)
    const late = setUp(own2(), 45, ['100', '101'])
    late.clock.perLook = JOB_CHECK_FRESH_MILLISECONDS + 1
    expect(await outageOf(() => late.check())).toBe('job_check_stale')
    expect(late.sent).toHaveLength(1)
  })
})

describe('the records of a job', () => {
  it.each<[string, string, unknown[]]>([
    ['allowed', 'own', [own()]],
    ['allowed', 'own in another case', [own({ account: 'OWN' })]],
    ['account_mismatch', 'foreign', [oth()]],
    ['allowed', 'array tasks that are all own', [own(), own(), own()]],
    ['account_mismatch', 'array tasks of which the last is foreign', [own(), own(), oth()]],
    ['account_mismatch', 'array tasks of which the first is foreign', [oth(), own()]],
    ['account_mismatch', 'none at all', []],
    ['account_mismatch', 'one without an account', [{ job_id: 100 }]],
    ['account_mismatch', 'one with an empty account', [own({ account: '' })]],
    ['account_mismatch', 'one with null for an account', [own(), own({ account: null })]],
    ['account_mismatch', 'one whose account is no text', [own({ account: ['own'] })]],
    [
      'account_mismatch',
      'one whose account is own to Unicode alone (U+212A)',
      [own({ account: '\u212aown' })],
    ],
    ['account_mismatch', 'one whose account only begins like it', [own({ account: 'own2' })]],
    ['account_mismatch', 'one with a blank behind', [own({ account: 'own ' })]],
    ['account_mismatch', 'one that is no object beside an own one', [own(), null]],
    ['account_mismatch', 'one that is a list beside an own one', [own(), [oth()]]],
  ])('%s: %s', async (expected, _, records) => {
    expect(await verdict({ 100: jobs(...records) }).catch(() => 'account_mismatch')).toBe(expected)
  })
})

describe('a record is of the job that was asked for', () => {
  const other = { job_id: 7, account: 'own' }
  const named = (id: number) => ({ set: true, infinite: false, number: id })
  it.each<[string, object]>([
    ['a plain job', { ...other, job_id: 100 }],
    ['a task of that array', { ...other, array_job_id: 100 }],
    ['a task of that array, since v0.0.40', { ...other, array_job_id: named(100) }],
    ['a component of that het job', { ...other, het_job_id: 100 }],
    ['a component of that het job, since v0.0.40', { ...other, het_job_id: named(100) }],
  ])('%s', async (_, record) => {
    expect(await verdict({ 100: jobs(record) })).toBe('allowed')
  })

  it.each<[string, unknown[]]>([
    ['another job', [other]],
    ['another job beside it', [own(), other]],
    ['a job without a number', [{ account: 'own' }]],
    ['a number that is text', [{ ...other, job_id: '100' }]],
    ['another array and another het job', [{ ...other, array_job_id: named(8), het_job_id: 9 }]],
  ])('not %s: nothing is allowed, and the caller is not blamed', async (_, records) => {
    expect(await outage({ 100: jobs(...records) })).toBe('job_check_failed')
  })
})

describe('a component of a het job', () => {
  const forms: [string, (id: number) => unknown][] = [
    ['a number (up to v0.0.39)', (id) => id],
    ['{set, number} (since)', (id) => ({ set: true, infinite: false, number: id })],
  ]
  it.each(forms)(
    'is looked up by its leader, given as %s: every component has to be own',
    async (_, leader) => {
      const component = own({ het_job_id: leader(90) })
      expect(
        await verdict({ 100: jobs(component), 90: jobs(component, own({ het_job_id: leader(90) })) }),
      ).toBe('allowed')
      expect(
        await verdict({ 100: jobs(component), 90: jobs(component, oth({ het_job_id: leader(90) })) }),
      ).toBe('account_mismatch')
      expect(await verdict({ 100: jobs(component), 90: jobs() })).toBe('account_mismatch')
      expect(await verdict({ 100: jobs(component) })).toBe('account_mismatch')
    },
  )

  it.each(forms)('that is its own leader, given as %s, is looked at once', async (_, leader) => {
    const { sent, check } = setUp({
      100: jobs(own({ het_job_id: leader(100) }), own({ het_job_id: leader(100) })),
    })
    expect(await check()).toEqual(FRESH)
    expect(sent).toHaveLength(1)
  })

  it.each([0, null, undefined, { set: false, infinite: false, number: 0 }, { set: true, number: 0 }])(
    'is no other job, whose het_job_id is %j', async (het_job_id) => {
      const { sent, check } = setUp({ 100: jobs(own({ het_job_id })) })
      expect(await check()).toEqual(FRESH)
      expect(sent).toHaveLength(1)
    },
  ) // prettier-ignore

  it.each([1e21, 1.5, -3, 4294967294, '90', [90], true, { set: true, number: '90' }, { number: -1 }, {}, { set: false }])(
    'is an outage when its leader is %j, and that is never asked for', async (het_job_id) => {
      const { sent, check } = setUp({ 100: jobs(own({ het_job_id })) })
      expect(await outageOf(check)).toBe('job_check_failed')
      expect(sent).toHaveLength(1)
    },
  ) // prettier-ignore

  it('is an outage when its leader cannot be looked at', async () => {
    const component = jobs(own({ het_job_id: 90 }))
    expect(await outage({ 100: component, 90: buildAnswer(500, 'gone', 'text/plain') })).toBe(
      'job_check_failed',
    )
  })
})

describe('an unknown job', () => {
  it.each([
    ['404 with 2017 (24.11+)', 404],
    ['500 with 2017 (22.05)', 500],
    ['200 with 2017', 200],
  ])('said with %s gets the answer of a foreign one, letter for letter', async (_, status) => {
    const unknown = await setUp({
      100: buildAnswer(status, { jobs: [own()], ...(buildSlurmErrors(2017) as object) }),
    }).check()
    const foreign = await setUp({ 100: jobs(oth()) }).check()
    expect(isRefusal(unknown)).toBe(true)
    expect(unknown).toEqual(foreign)
  })
})

it('an unknown job of v0.0.36 has no number, and gets the same answer', async () => {
  const errors = [{ error: '_handle_job_get: unknown job 100', error_code: 0 }]
  const unknown = await setUp({ 100: buildAnswer(500, { errors }) }, 36).check()
  expect(unknown).toEqual(await setUp({ 100: jobs(oth()) }).check())
  const other = [{ error: '_handle_job_get: something else', error_code: 0 }]
  expect(await outage({ 100: buildAnswer(500, { errors: other }) })).toBe('job_check_failed')
})

describe('nothing is allowed, and the caller is not blamed, when slurmrestd', () => {
  it.each<[string, () => UpstreamAnswer]>([
    [
      'answers 200 with errors',
      () => buildAnswer(200, { jobs: [own()], ...(buildSlurmErrors(2002) as object) }),
    ],
    ['answers 500', () => buildAnswer(500, buildSlurmErrors(9999))],
    ['answers 404 in text', () => buildAnswer(404, 'Unable find requested URL', 'text/plain')],
    ['answers 201', () => buildAnswer(201, { jobs: [own()], errors: [] })],
    ['answers no JSON', () => buildAnswer(200, '<html>')],
    ['answers nothing', () => ({ status: 200, contentType: null, contentLength: 0, body: null })],
    ['answers half a document', () => buildAnswer(200, '{"jobs":[{"account":"own"}')],
    ['answers null', () => buildAnswer(200, 'null')],
    ['answers a list', () => buildAnswer(200, [own()])],
    [
      'answers without end',
      () => ({ status: 200, contentType: null, contentLength: null, body: createEndless() }),
    ],
  ])('%s', async (_, answer) => {
    expect(await outage({ 100: answer() })).toBe('job_check_failed')
  })

  it.each([
    ['401', buildAnswer(401, 'Authentication failure', 'text/plain')],
    ['511 with 1007', buildAnswer(511, buildSlurmErrors(1007))],
    ['500 with 1007', buildAnswer(500, buildSlurmErrors(1007))],
  ])('refuses our own token with %s: that is what the operator is told', async (_, answer) => {
    expect(await outage({ 100: answer })).toBe('slurm_token_refused')
  })

  it.each(['upstream_unreachable', 'upstream_timeout', 'overloaded'] as const)(
    'is not there (%s)',
    async (rule) => {
      expect(await outage({ 100: new Outage(rule, 'gone') })).toBe(rule)
    },
  )
})

function createEndless(): ReadableStream<Uint8Array> {
  const piece = new Uint8Array(1024 * 1024).fill(0x20)
  return createStream(Array.from({ length: JOB_CHECK_MAX_BYTES / piece.length + 2 }, () => piece)).stream
}
