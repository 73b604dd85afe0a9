/** facts/slurm.md 10: a token's job description has listed fields only, and of some of them listed values only. */

import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { confineSubmit, confineUpdate } from '../../src/document/job-document.ts'
import { DENIED_JOB_FIELDS, DENIED_JOB_FLAGS, isJobField, JOB_FIELDS } from '../../src/policy/job-fields.ts'
import { explain, submit, update } from './confine-document.ts'

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
