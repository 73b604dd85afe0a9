/** The value rules against what was measured on slurmrestd 22.05.8, 24.11.5 and 26.05.5 (facts/slurm.md 13). */

import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { findQueryRule } from '../../src/policy/query-rules.ts'
import { ROUTES } from '../../src/policy/route-table.ts'

type Case = readonly [place: string, versions: readonly number[], values: readonly string[]]

const EVERY = [36, 37, 38, 40, 41, 42, 43, 44, 45]
const SINCE_40 = [40, 41, 42, 43, 44, 45]
const SINCE_42 = [42, 43, 44, 45]
const UNTIL_38 = [36, 37, 38]
const LONG = 'x'.repeat(4096)

/** Place is "template name"; a name may have spaces, a template has none. */
function findRule(place: string, version: number) {
  const [template = '', ...name] = place.split(' ')
  return findQueryRule(name.join(' '), template, version)
}

function listVerdicts([place, versions, values]: Case): [label: string, isGood: boolean][] {
  return versions.flatMap((version) =>
    values.map((value): [string, boolean] => [
      `${place} v${version} ${value.slice(0, 60)}`,
      findRule(place, version).isGood(value),
    ]),
  )
}

/** Each ended a daemon, or kept it busy for seconds or for ever, in a release that serves one of these versions. */
const KILLS: readonly Case[] = [
  ['/slurmdb/users with_assocs', SINCE_40, ['%n', '%s%n', '%s', '%p.%p']],
  ['/slurmdb/users with_coords', SINCE_40, ['%s%n']],
  ['/slurmdb/users with_deleted', SINCE_40, ['%s%n']],
  ['/slurmdb/users with_wckeys', SINCE_40, ['%s%n']],
  ['/slurmdb/users without_defaults', SINCE_40, ['%s%n']],
  ['/slurmdb/user/{name} with_assocs', SINCE_40, ['%s%n']],
  ['/slurmdb/account/{name} with_assocs', SINCE_40, ['%s%n']],
  ['/slurmdb/qos/{name} with_deleted', SINCE_40, ['%s%n']],
  ['/slurmdb/wckeys with_usage', SINCE_40, ['%s%n']],
  ['/slurmdb/wckeys with_deleted', SINCE_40, ['%s%n']],
  ['/slurmdb/wckeys only_defaults', SINCE_40, ['%s%n']],
  ['/slurmdb/wckeys only_defaults', [40, 41, 42], ['true', '1', 'abc', '-1', 'TRUE', '[']],
  ['/slurmdb/wckeys usage_start', [40, 41, 42], ['1700000000', 'now-1day', '2024-01-01', '-1', '1']],
  ['/slurmdb/jobs exit_code', SINCE_40, ['%n', '%s%s%s%s%n']],
  ['/slurmdb/jobs cpus_min', SINCE_42, ['%s%n']],
  ['/slurmdb/jobs nodes_max', SINCE_42, ['%s%n']],
  ['/slurmdb/jobs groups', [40, 41, 42], ['root', 'alice', 'nosuchgroup', '6001,0', 'infinite', 'now', '1 ']],
  ['/slurmdb/jobs step', [...UNTIL_38, 40, 41, 42], ['1..2', '3.abc', '3..']],
  ['/slurmdb/jobs step', UNTIL_38, ['abc', 's', '-1', '2_', '_', '1+', '1+a', '2_[0-3]', 'n[1-3]', '[', 'NaN', LONG]],
  ['/slurm/jobs/state job_id', [40, 41, 42], ['1..2']],
  ['/slurmdb/associations qos', SINCE_40, ['2147483648', '2147483649', '1,2147483648,3']],
  ['/slurmdb/instances node_list', SINCE_40, ['a[1-65000],b[1-65000]', 'n[1-100]x[1-100]x[1-100]', 'n[1-65000]']],
  ['/slurmdb/jobs account', UNTIL_38, ['a[1-65000],b[1-65000]', 'n[1-10000]']],
  ['/slurmdb/jobs job_name', UNTIL_38, ['a[1-65000],b[1-65000]']],
  ['/slurmdb/jobs reason', UNTIL_38, ['a[1-65000],b[1-65000]']],
  ['/slurmdb/associations user', [38], ['a[1-65000],b[1-65000]']],
] // prettier-ignore

/** Read as another job, signal or time, as no filter at all, or handed to slurmdbd's SQL. */
const MISREAD: readonly Case[] = [
  ['/slurm/job/{job_id} signal', EVERY, ['', '0', 'abc', 'KILLX', 'KILL ', 'USR1,KILL', 'WINCH', 'SIGRTMIN', '1.5', '1e1', '0x9', '-1', '01', '65', '4294967306']],
  ['/slurm/job/{job_id} flags', EVERY, ['', 'BOGUS', 'FULL_JOB,HURRY', '%n', 'ALL,DETAIL', '0']],
  ['/slurm/jobs flags', EVERY, ['', 'abc', 'DETAIL,abc', LONG]],
  ['/slurm/jobs update_time', EVERY, ['', 'abc', '-1', '1.5', '1e9', '0x10', '+1', ' 1', 'NaN', 'infinite', '99999999999', '1..2', '1,2']],
  ['/slurm/jobs update_time', [40, 41], ['0', '1231', '1700000000']],
  ['/slurmdb/jobs start_time', [...UNTIL_38, 40, 41], ['0101', '1231', '010124', '1700000000']],
  ['/slurmdb/jobs start_time', EVERY, ['', '1.5', '2024-13-45x', 'now-99999999999days', 'today-1day', '2024-01-01 00:00:00', '2024-01-01T00:00:00Z']],
  ['/slurm/jobs/state job_id', SINCE_40, ['', '0', '01', '+1', ' 1', '1.5', '1.batch', '1+1', '2_1', '1,2', '4294967293', '4294967296']],
  ['/slurmdb/jobs step', EVERY, ['', '0', '01', '4294967296', '3.99999999999', '1-2', '1-', '1 ', ',']],
  ['/slurmdb/jobs step', SINCE_40, ['1,2', '6+1']],
  ['/slurmdb/jobs state', SINCE_40, ['', 'R', 'cd', 'BOGUS', 'RUNNING,FAILED']],
  ['/slurmdb/jobs account', EVERY, ['', ',', ',,', ','.repeat(5000), 'a,,b', "'", '"', '\\', '%s', '😀', '[', '*']],
  ['/slurmdb/jobs cluster', EVERY, ["'", '"', "' OR 1=1 -- ", 'a`b', '😀', '{"a":1}']],
  ['/slurmdb/jobs constraints', EVERY, ['%', '', ',']],
  ['/slurmdb/jobs node', EVERY, ['', 'n[3-1]', 'n[1-', 'n[]', '[', ']', 'n[1-2,', 'n[a-b]', 'n[0-99999999]', '[1-3]', '['.repeat(3000)]],
  ['/slurmdb/jobs cpus_min', EVERY, ['', '-1', '0x10', '1.5', '1-2', '4294967296', '01']],
  ['/slurmdb/jobs skip_steps', EVERY, ['', 'abc', '2', '-1', 'null', '[]', ' true']],
  ['/slurmdb/associations id', SINCE_40, ['', '-1', '+1', '0x10', 'normal', ',']],
  ['/slurmdb/associations only_defaults', SINCE_42, ['true']],
  ['/slurmdb/associations Filter to only defaults', [40, 41], ['true']],
] // prettier-ignore

/** Taken by the daemons, with the effect that they name. */
const HONEST: readonly Case[] = [
  ['/slurm/job/{job_id} signal', EVERY, ['1', '9', '15', '64', 'KILL', 'SIGTERM', 'usr1', 'SIGUSR2', 'CONT', 'XCPU']],
  ['/slurm/job/{job_id} flags', SINCE_40, ['FULL_JOB', 'full_job', 'BATCH_JOB', 'HURRY', 'DETAIL']],
  ['/slurm/nodes flags', SINCE_40, ['DETAIL', 'ALL', 'Detail', 'all']],
  ['/slurm/jobs update_time', [...UNTIL_38, ...SINCE_42], ['0', '1700000000']],
  ['/slurm/jobs update_time', SINCE_40, ['now-1day', '2024-01-01', 'uts1700000000']],
  ['/slurmdb/jobs start_time', SINCE_42, ['0', '1700000000']],
  ['/slurmdb/jobs start_time', EVERY, [
    ...['now', 'now-1day', 'now+1hour', 'now-7days', 'now-1week', 'now-60', 'now-60seconds', 'today', 'midnight', 'noon', 'teatime', 'fika'],
    ...['tomorrow', 'uts1700000000', '2024-01-01', '2024-01-01T00:00', '2024-01-01T00:00:00', '12:00', '12:00:00', '12:00 PM', '12:00PM'],
    ...['01/02', '01/02/24', '01/02/24-12:00'],
  ]],
  ['/slurmdb/associations usage_start', SINCE_42, ['1700000000', 'now-1day']],
  ['/slurmdb/wckeys usage_start', [43, 44, 45], ['1700000000']],
  ['/slurmdb/wckeys only_defaults', [43, 44, 45], ['true', 'false']],
  ['/slurmdb/jobs account', EVERY, ['ownerlab', 'OWNERLAB', 'ownerlab,otherlab']],
  ['/slurmdb/jobs job_name', EVERY, ['done', 'run,done', 'a b', 'a*b', 'a!', 'a(b)', '😀']],
  ['/slurmdb/jobs constraints', EVERY, ['a&b', 'a|b']],
  ['/slurmdb/jobs users', SINCE_40, ['alice', '6001']],
  ['/slurm/shares users', SINCE_40, ['alice,bob']],
  ['/slurmdb/jobs groups', EVERY, ['0', '6001']],
  ['/slurmdb/jobs groups', [43, 44, 45], ['alice']],
  ['/slurmdb/jobs groups', UNTIL_38, ['6001,0']],
  ['/slurmdb/jobs state', SINCE_40, ['RUNNING', 'running', 'COMPLETED', 'OUT_OF_MEMORY']],
  ['/slurmdb/jobs state', UNTIL_38, ['RUNNING', 'FAILED,COMPLETED', 'CD', 'cd']],
  ['/slurmdb/jobs step', EVERY, ['1', '3.0', '3.batch', '1.extern', '1.interactive', '2_0', '2_0.batch']],
  ['/slurmdb/jobs step', UNTIL_38, ['1,3', '1.0,3']],
  ['/slurmdb/jobs node', EVERY, ['m24-node', 'n[1-3]', 'n[001-128],login1', 'a[1-9]b[0,2-4]', 'n[1-10000]']],
  ['/slurmdb/jobs cpus_min', EVERY, ['0', '1', '2147483647']],
  ['/slurmdb/jobs exit_code', EVERY, ['0', '3']],
  ['/slurmdb/jobs skip_steps', EVERY, ['true', 'false', 'TRUE', '1', 'no']],
  ['/slurmdb/associations qos', SINCE_40, ['0', '1', '1,2', '2147483647']],
  ['/slurmdb/associations only_defaults', [40, 41], ['true']],
  ['/slurmdb/associations Filter to only defaults', SINCE_42, ['true']],
  ['/slurm/jobs/state job_id', SINCE_40, ['1', '4711', '67108865']],
  ['/slurm/job/{job_id}/requeue Hold', [45], ['true']],
  ['/slurmdb/users admin_level', SINCE_40, ['Administrator', 'administrator', 'None', 'Not Set']],
  ['/slurmdb/cluster/{name} classification', SINCE_40, ['CAPACITY']],
  ['/slurmdb/cluster/{name} flags', SINCE_40, ['FEDERATION']],
  ['/slurmdb/qos preempt_mode', SINCE_40, ['REQUEUE']],
] // prettier-ignore

describe('a query value', () => {
  it.each(KILLS)('%s of v0.0.%j that killed or hung a daemon is refused', (...kill) => {
    for (const [label, isGood] of listVerdicts(kill)) expect(isGood, label).toBe(false)
  })

  it.each(MISREAD)('%s of v0.0.%j that is read as something else is refused', (...misread) => {
    for (const [label, isGood] of listVerdicts(misread)) expect(isGood, label).toBe(false)
  })

  it.each(HONEST)('%s of v0.0.%j that means what it says is taken', (...honest) => {
    for (const [label, isGood] of listVerdicts(honest)) expect(isGood, label).toBe(true)
  })
})

it('nodes: 10,000 at most, however they are written', () => {
  for (const place of ['/slurmdb/instances node_list', '/slurmdb/jobs node']) {
    const rule = findRule(place, 45)
    for (const value of ['n[1-10000]', 'n[1-9999],login', 'a[1-100]b[1-100]']) expect(rule.isGood(value), value).toBe(true)
    for (const value of ['n[1-10001]', 'n[1-9999],login,x', 'a[1-100]b[1-101]']) expect(rule.isGood(value), value).toBe(false)
  }
}) // prettier-ignore

describe('every parameter of the route table', () => {
  const places = ROUTES.flatMap(({ template, query }) => query.map((name) => `${template} ${name}`))
  const PROBES = [
    'true',
    '1',
    'a',
    'DETAIL',
    'RUNNING',
    'None',
    'KILL',
    'GANG',
    'CAPACITY',
    'FEDERATION',
    '2024-01-01',
  ]

  it.each(places)('%s has a rule of its own', (place) => {
    const takes = EVERY.some((version) => PROBES.some((probe) => findRule(place, version).isGood(probe)))
    expect(takes).toBe(true)
  })

  it.each(places)('%s takes no empty, printed, quoted or unending value, and answers at once', (place) => {
    for (const version of EVERY) {
      const rule = findRule(place, version)
      for (const value of ['', ',', '%n', '%s', '"', '\\', 'a\u0000b', '\n', '[', 'n[1-', 'n[0-99999999]']) {
        expect(rule.isGood(value), `${place} v${version} ${value}`).toBe(false)
      }
      const start = Date.now()
      for (const unit of [',', '[', 'a[', 'a[1],', '1,', 'x', '9', 'n[1-2,']) rule.isGood(unit.repeat(4096).slice(0, 4096))
      expect(Date.now() - start).toBeLessThan(30_000)
      expect(rule.words).toMatch(/^[a-z]/)
    }
  }) // prettier-ignore

  it('takes nothing with a control character, a quote or a percent sign, whatever it is', () => {
    const place = fc.constantFrom(...places)
    const bad = fc.tuple(
      fc.string(),
      fc.constantFrom('\u0000', '\u001f', '\u007f', '"', '%', '\\'),
      fc.string(),
    )
    fc.assert(
      fc.property(place, fc.constantFrom(...EVERY), bad, (name, version, parts) => {
        expect(findRule(name, version).isGood(parts.join(''))).toBe(false)
      }),
    )
  })

  it('refuses every value of a name that is in no list', () => {
    for (const name of ['bogus', '__proto__', 'constructor']) {
      expect(findQueryRule(name, '/slurm/jobs', 42).isGood('1')).toBe(false)
    }
  })
})
