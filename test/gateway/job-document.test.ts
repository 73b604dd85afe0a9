/** facts/slurm.md 5, 6, 7 and 10: a token's job description has listed fields only, and a restricted one's account. */

import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { confineSubmit, confineUpdate } from '../../src/document/job-document.ts'
import { DENIED_JOB_FIELDS, DENIED_JOB_FLAGS, isJobField, JOB_FIELDS } from '../../src/policy/job-fields.ts'
import { parseJson, serializeJson } from '../../src/document/json-document.ts'
import { encode, ruleOf } from './in-memory-ports.ts'

type Confine = typeof confineSubmit

/** v0.0.NN of a daemon in its prime: 24.11. */
const VERSION = 42

/** What would go upstream, parsed; or the rule that refuses it. */
function confine(with_: Confine, document: unknown, account: string | null, version: number): unknown {
  const parsed = parseJson(encode(typeof document === 'string' ? document : JSON.stringify(document)))
  if (parsed.type === 'problem') return 'json_malformed'
  const refusal = with_(parsed, account, version)
  return refusal === null ? JSON.parse(serializeJson(parsed)) : ruleOf(refusal)
}
const submit = (document: unknown, account: string | null = 'own', version = VERSION) =>
  confine(confineSubmit, document, account, version)
const update = (document: unknown, account: string | null = 'own', version = VERSION) =>
  confine(confineUpdate, document, account, version)

/** What the caller is told; null: it is allowed. */
function explain(with_: Confine, document: unknown, version = VERSION, account: string | null = 'own') {
  const parsed = parseJson(encode(JSON.stringify(document)))
  if (parsed.type === 'problem') throw new Error(parsed.text)
  return with_(parsed, account, version)?.description ?? null
}

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

const FORBIDDEN = [
  'user_id', 'group_id', 'clusters', 'cluster_constraint', 'cluster_constraints', 'crontab', 'admin_comment', 'site_factor', 'spank_environment',
  'allocation_node_list', 'allocation_node_port', 'reserve_ports', 'resv_mpi_ports', 'x11', 'x11_magic_cookie', 'x11_target_host', 'x11_target_port',
  'selinux_context', 'reboot', 'job_id', 'step_id', 'hetjob_group', 'het_job_id', 'array_job_id', 'uid', 'unknown', 'NAME', 'name ', '', '__proto__', 'constructor',
  // Undocumented names that 22.05 takes all the same (`job_params` in its jobs.c).
  'job_name', 'ntasks', 'nodelist', 'node_list', 'cwd', 'umask', 'no_requeue', 'test_only', 'cluster', 'prolog', 'nodefile',
] // prettier-ignore

const VERSIONS = [36, 37, 38, 39, 40, 41, 42, 43, 44, 45]

describe('the fields of a job', () => {
  it.each(FORBIDDEN)('%j is open to no token, in submissions and updates', (field) => {
    const text = `{${JSON.stringify(field)}:1}`
    for (const version of VERSIONS) {
      for (const account of ['own', null]) {
        expect(submit(`{"job":${text}}`, account, version)).toBe('job_field_not_allowed')
        expect(submit(`{"jobs":[{},${text}]}`, account, version)).toBe('job_field_not_allowed')
        expect(update(text, account, version)).toBe('job_field_not_allowed')
      }
    }
  })

  it.each([...DENIED_JOB_FIELDS])('%s: the caller is told where it stands and why', (field, reason) => {
    expect(explain(confineSubmit, { job: { [field]: 1 } })).toContain(`"job.${field}" is not open to API tokens: ${reason}`)
    expect(explain(confineSubmit, { jobs: [{}, { [field]: 1 }] })).toContain(`"jobs[1].${field}" is not`)
    expect(explain(confineUpdate, { [field]: 1 })).toContain(`"${field}" is not`)
  }) // prettier-ignore

  it('of another version are refused, and the caller is told which', () => {
    expect(explain(confineSubmit, { job: { gres: 'gpu:1' } })).toBe(
      '"job.gres" is no field of a job description in v0.0.42; it belongs to v0.0.36 to v0.0.38',
    )
    expect(explain(confineUpdate, { cores_per_socket: 1 }, 43)).toContain('v0.0.36 to v0.0.40 and v0.0.45')
    expect(explain(confineSubmit, { job: { container_type: 'x' } }, 44)).toMatch(/belongs to v0\.0\.45$/)
    expect(explain(confineSubmit, { job: { Name: 'x' } })).toContain('lower case')
    expect(explain(confineSubmit, { job: { wibble: 'x' } })).toContain('"job.wibble" is no field')
  })

  it('are open in their versions alone, in submissions and updates', () => {
    for (const version of VERSIONS) {
      for (const field of JOB_FIELDS) {
        const expected = isJobField(field, version) ? { [field]: null } : 'job_field_not_allowed'
        expect(update({ [field]: null }, null, version)).toEqual(expected)
        expect(submit({ job: { [field]: null } }, null, version)).toEqual(
          typeof expected === 'string' ? expected : { job: expected },
        )
      }
    }
  })

  it('none that names a user, another job or another cluster is listed', () => {
    expect(FORBIDDEN.filter((field) => JOB_FIELDS.has(field))).toEqual([])
    expect([...JOB_FIELDS].filter((field) => /(^|_)(user|group|uid|gid)_id$|job_id|step_id|hetjob|cluster|x11|admin|selinux/.test(field))).toEqual([])
  }) // prettier-ignore

  it('are shown by name only where the name is a plain word', () => {
    const show = (field: string) => explain(confineSubmit, { job: { [field]: 1 }, [`${field}_`]: 1 })
    expect(explain(confineUpdate, { 'canary"': 1 })).not.toContain('canary')
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
      fc.property(
        fc.array(job, { minLength: 1, maxLength: 3 }),
        fc.boolean(),
        fc.constantFrom(...VERSIONS),
        (jobs, isOne, version) => {
          const sent = submit(isOne ? { job: jobs[0] } : { jobs }, 'own', version)
          if (typeof sent === 'string') return
          const { job: only, jobs: all = [only] } = sent as { job?: object; jobs?: object[] }
          for (const component of all) {
            expect(component).toHaveProperty('account', 'own')
            expect(Object.keys(component ?? {}).filter((field) => !isJobField(field, version))).toEqual([])
          }
        },
      ),
    )
  })
})

describe('a dependency', () => {
  it.each(['expand:1', 'EXPAND:1', 'afterok:2,expand:1', 'afterok:2?expand:1', ' expand:1', 'expand :1', 'expand', '\texpand:1', 'afterok:1expand:2', 'afterexpand:1', 'before:1', 'e\u200bxpand:1'])('%j is refused: it joins another job', (dependency) => {
    for (const version of VERSIONS) {
      for (const account of ['own', null]) {
        expect(submit({ job: { dependency } }, account, version)).toBe('job_field_not_allowed')
        expect(update({ dependency }, account, version)).toBe('job_field_not_allowed')
      }
    }
    expect(explain(confineSubmit, { jobs: [{ dependency }] })).toContain('"jobs[0].dependency"')
  }) // prettier-ignore

  it.each([[['expand:1']], [{ type: 'expand' }], [{ expand: 1 }], [1], [true], [[]]])('%j is none: slurmrestd would make a string of it', (dependency) => {
    expect(submit({ job: { dependency } })).toBe('job_malformed')
    expect(update({ dependency }, null)).toBe('job_malformed')
  }) // prettier-ignore

  it.each(['afterok:1', 'AfterOK:1', 'singleton', 'afterany:1:2,after:3+5', 'afterok:1?afternotok:2', 'aftercorr:4294967293', 'afterburstbuffer:1', '', null])('%j is taken', (dependency) => {
    expect(submit({ job: { dependency } }, null)).toEqual({ job: { dependency } })
    expect(update({ dependency }, null)).toEqual({ dependency })
  }) // prettier-ignore
})

describe('flags', () => {
  const both = (flags: unknown) => {
    const answers = [submit({ job: { flags } }), update({ flags }, null)]
    return typeof answers[0] === 'string' ? [...new Set(answers)] : 'taken'
  }

  it.each([...DENIED_JOB_FLAGS])('%s is closed, in a list, alone and in any case', (flag, reason) => {
    for (const flags of [[flag], flag, ['SPREAD_JOB', flag], [flag.toLowerCase()], flag.toLowerCase()]) {
      expect(both(flags)).toEqual(['job_field_not_allowed'])
    }
    expect(explain(confineSubmit, { job: { flags: [flag] } })).toContain(`"job.flags": ${flag} is closed: ${reason}`)
  }) // prettier-ignore

  it.each([[['CRON_JOB,SPREAD_JOB']], ['SPREAD_JOB,CRON_JOB'], [['spread_job']], [['']], [['JOB_RESIZED']]])('%j is refused, though it may be harmless: it is not listed so', (flags) => {
    expect(both(flags)).toEqual(['job_field_not_allowed'])
    expect(explain(confineUpdate, { flags })).not.toContain('RESIZED')
  }) // prettier-ignore

  it.each([1, true, {}, { CRON_JOB: true }, [1], [['CRON_JOB']], [null]])('%j are none', (flags) => {
    expect(both(flags)).toEqual(['job_malformed'])
  })

  it.each([[['SPREAD_JOB', 'KILL_INVALID_DEPENDENCY']], [[]], ['SPREAD_JOB'], [null]])('%j are taken', (flags) => {
    expect(both(flags)).toBe('taken')
  }) // prettier-ignore

  it('of the warning signal: B and R of sbatch --signal', () => {
    const take = (kill_warning_flags: unknown) => update({ kill_warning_flags }, null)
    expect(take(['BATCH_JOB', 'RESERVATION_JOB'])).toEqual({ kill_warning_flags: ['BATCH_JOB', 'RESERVATION_JOB'] })
    for (const flag of ['FEDERATION_REQUEUE', 'CRON_JOBS', 'batch_job']) expect(take([flag])).toBe('job_field_not_allowed')
  }) // prettier-ignore
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
