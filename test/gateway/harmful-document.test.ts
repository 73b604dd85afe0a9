/**
 * What ends or stalls real daemons is refused, each value as it was sent to Slurm 22.05.8 (v0.0.36-38), 24.11.5
 * (v0.0.40-42) and 26.05.5 (v0.0.42-45) when they died; what they take from honest users is not.
 */

import { describe, expect, it } from 'vitest'
import { findForm } from '../../src/document/document-form.ts'
import { findHarm } from '../../src/document/harmful-document.ts'
import { countHosts } from '../../src/document/host-list.ts'
import { parseLenientJson } from '../../src/document/lenient-json.ts'
import { ROUTES } from '../../src/policy/route-table.ts'
import { encode } from './in-memory-ports.ts'

function judge(call: string, version: number, source: string): string | null {
  const route = ROUTES.find(({ method, template }) => `${method} ${template}` === call)
  if (route === undefined) throw new Error(`no route ${call}`)
  const document = parseLenientJson(encode(source))
  if (document.type === 'problem') throw new Error(document.text)
  return findHarm(document, { route, version })
}

const SUBMIT = 'POST /slurm/job/submit'
const UPDATE = 'POST /slurm/job/{job_id}'
const submit = (version: number, fields: string) =>
  judge(SUBMIT, version, `{"script":"#!/bin/sh\\n","job":{"name":"x",${fields}}}`)

describe('what honest users send harms no daemon', () => {
  const components = (count: number) =>
    JSON.stringify({ script: 'x', jobs: Array(count).fill({ name: 'x' }) })

  it.each([
    ['v0.0.38', SUBMIT, 38, '{"script":"x","job":{"environment":{"A":"%s%n"},"gpus":"1","argv":[]}}'],
    ['v0.0.36', SUBMIT, 36, '{"script":"x","job":{"environment":{"A":"b"},"standard_output":""}}'],
    ['a het job', SUBMIT, 42, components(128)],
    ['24.11 with arguments', SUBMIT, 42, '{"job":{"script":"x","argv":["a","50%"],"batch_features":"x"}}'],
    ['numbered groups', SUBMIT, 42, '{"job":{"script":"x","group_id":"6001","user_id":6001}}'],
    ['a named group on 26.05', SUBMIT, 45, '{"job":{"script":"x","group_id":"alice"}}'],
    ['5,000 variables', SUBMIT, 42, JSON.stringify({ job: { environment: Array(5_000).fill('A=b') } })],
    [
      'nodes',
      SUBMIT,
      42,
      '{"job":{"required_nodes":["n[0-99]","login"],"nodes":"1-4","exclusive":["true"]}}',
    ],
    ['fields that nobody knows', SUBMIT, 45, '{"script":"x","job":{"zork":{"a":[1]}}}'],
    ['an update', UPDATE, 42, '{"comment":"50% done","time_limit":{"set":true,"number":5},}'],
    ['an accounting note', 'POST /slurmdb/job/{job_id}', 45, '{"comment":{"job":"50% done"}}'],
    ['a kill list', 'DELETE /slurm/jobs', 42, '{"jobs":["1","2_3","4+1","5_[1-3,7]","6_*","7.batch",8]}'],
    ['a requeue list', 'POST /slurm/jobs/requeue', 45, '{"jobs":["s6HGY2ZQGS1H00"]}'],
    [
      'a node update',
      'POST /slurm/node/{name}',
      42,
      '{"state":["DRAIN"],"reason":"50% of fans","cpu_bind":1}',
    ],
    ['a host list', 'POST /util/hostnames', 45, '{"hostlist":"n[0-9],login"}'],
    ['an account', 'POST /slurmdb/accounts', 42, '{"accounts":[{"name":"a","description":"50%"}]}'],
  ])('%s', (_what, call, version, source) => {
    expect(judge(call, version, source)).toBeNull()
  })
})

describe('24.11 and 26.05: text becomes a printf format where it does not fit', () => {
  it.each([
    ...[
      '"nice":"%s%n"',
      '"hold":"%n"',
      '"tasks":"%s"',
      '"nodes":"%n"',
      '"argv":"%s%n"',
      '"environment":"%n"',
    ],
    ...[
      '"required_nodes":"%n"',
      '"time_limit":{"set":"%n"}',
      '"time_limit":{"number":"%s"}',
      '"nice":["%n"]',
    ],
    ...[
      '"rlimits":{"cpu":"%n"}',
      '"step_id":{"job_id":"%n"}',
      '"comment":["%n"]',
      '"comment":{"script":"%n"}',
    ],
    ...[
      '"comment":{"%n":1}',
      '"environment":{"%n":"b"}',
      '"environment":{"A":"%n"}',
      '"environment":[["%n"]]',
    ],
    ...['"environment":[{"A":"%n"}]', '"argv":[["%n"]]', '"job_id":"%n"', '"nice":{"script":"%n"}'],
    ...[
      '"qos":{"script":"%n"}',
      '"nice":{"":{"script":"%n"}}',
      '"nice":[{"script":"%n"}]',
      '"n\\u0069ce":"\\u0025n"',
    ],
  ])('%s', (fields) => {
    for (const version of [40, 41, 42, 43, 44, 45]) {
      expect(submit(version, fields)).toMatch(/percent sign/)
      expect(judge(UPDATE, version, `{${fields}}`)).toMatch(/percent sign/)
    }
  })

  it('in a script that is none, and in other routes', () => {
    expect(judge(SUBMIT, 42, '{"script":["%n"],"job":{}}')).toBe(
      '"script" has a percent sign where slurmrestd does not read text',
    )
    expect(judge('POST /slurm/node/{name}', 42, '{"name":"%s%n"}')).toMatch(/percent/)
    expect(judge('POST /util/hostlist', 45, '{"hostnames":"%s%s%n"}')).toMatch(/percent/)
    expect(judge('POST /slurm/job/allocate', 42, '{"hetjob":[{"nice":"%n"}]}')).toMatch(/percent/)
  })

  it('in a partition or a reservation text is text, and in no other list', () => {
    for (const call of ['POST /slurm/partitions', 'POST /slurm/reservations']) {
      const list = call.replace('POST /slurm/', '')
      expect(judge(call, 45, `{"${list}":[{"comment":"50%"}]}`)).toBeNull()
      expect(judge(call, 45, `{"${list}":[{"name":"50%"}]}`)).toMatch(/percent/)
      expect(judge(call, 45, '{"others":[{"comment":"50%"}]}')).toMatch(/percent/)
    }
  })
})

describe('values that end a daemon', () => {
  it.each([
    [42, '"group_id":"alice"', 'group_id'],
    [41, '"group_id":[]', 'group_id'],
    [40, '"group_id":{}', 'group_id'],
    [42, '"group_id":" "', 'group_id'],
    [42, '"standard_output":""', 'standard_output'],
    [40, '"standard_error":""', 'standard_error'],
    [41, '"standard_input":""', 'standard_input'],
    [38, '"argv":["a"]', 'argv'],
    [37, '"argv":null', 'argv'],
    [36, '"argv":"a"', 'argv'],
    [38, '"ARGV":["a"]', 'argv'],
    [38, '"batch_features":"a"', 'batch_features'],
    [36, '"batch_features":null', 'batch_features'],
    [36, '"gpus":1', 'gpus'],
    [36, '"gres":"gpu:1"', 'gres'],
    [36, '"cpus_per_gpu":"1"', 'cpus_per_gpu'],
    [36, '"memory_per_gpu":1000', 'memory_per_gpu'],
    [36, '"gpus_per_node":"a:1"', 'gpus_per_node'],
  ])('v0.0.%i %s', (version, fields, field) => {
    expect(submit(version, fields)).toContain(`"${field}"`)
  })

  it.each(['{}', '[]'])('22.05: an environment that is %s ends slurmrestd', (environment) => {
    for (const version of [36, 37, 38]) {
      expect(submit(version, `"environment":${environment}`)).toBe('"environment" must not be empty; leave it out')
      expect(judge(UPDATE, version, `{"environment":${environment}}`)).toContain('"environment"')
    }
    for (const version of [40, 45]) expect(submit(version, `"environment":${environment}`)).toBeNull()
  }) // prettier-ignore

  it.each([
    ['qos', '{"qos":[{"name":"x","preempt":{"list":[null]}}]}'],
    ['qos', '{"qos":[{"name":"x","preempt":{"list":[""]}}]}'],
    ['qos', '{"qos":[{"name":"x","preempt":{"list":[{"id":1}]}}]}'],
    ['associations', '{"associations":[{"user":"x","default":{"qos":{}}}]}'],
    ['associations', '{"associations":[{"user":"x","qos":[null]}]}'],
    ['users_association', '{"association_condition":{"association":{"qoslevel":[""]}}}'],
    ['users_association', '{"association_condition":{"association":{"defaultqos":{"id":1}}}}'],
    ['wckeys', '{"wckeys":[{"name":"x","accounting":[{"id":1}]}]}'],
    ['users', '{"users":[{"name":"x","wckeys":[{"accounting":[{"allocated":{"seconds":1}}]}]}]}'],
  ])('24.11 and 26.05, accounting: %s %s', (what, source) => {
    for (const version of [40, 42, 45]) expect(judge(`POST /slurmdb/${what}`, version, source)).not.toBeNull()
  })

  it.each([44, 45])('26.05: slurmctld dies of a new node without text, v0.0.%i', (version) => {
    expect(judge('POST /slurm/new/node', version, '{"node_conf":null}')).toContain('"node_conf"')
    expect(judge('POST /slurm/new/node', version, '{"node_conf":"NodeName=x State=CLOUD"}')).toBeNull()
  })

  it('24.11 and 26.05, accounting: names, numbers and empty lists are fine', () => {
    expect(judge('POST /slurmdb/qos', 42, '{"qos":[{"name":"x","preempt":{"list":["a",1]}}]}')).toBeNull()
    expect(
      judge('POST /slurmdb/associations', 42, '{"associations":[{"qos":["a"],"default":{"qos":""}}]}'),
    ).toBeNull()
    expect(judge('POST /slurmdb/wckeys', 42, '{"wckeys":[{"name":"x","accounting":[]}]}')).toBeNull()
  })

  it('24.11 and 26.05: slurmctld dies of bindings that are no flags', () => {
    for (const value of ['-1', '4294967295', '18446744073709551616', '"-1"', '{"number":-1}', '1e10']) {
      expect(judge('POST /slurm/node/{name}', 45, `{"cpu_bind":${value}}`)).toContain('"cpu_bind"')
    }
  })

  it('26.05: slurmctld dies of the last task of an array', () => {
    for (const id of [
      '"1_4294967295"',
      '"1+4294967295"',
      '"4294967295"',
      '"abc"',
      '"1_["',
      '""',
      '-1',
      '0',
      'NaN',
    ]) {
      expect(judge('DELETE /slurm/jobs', 42, `{"jobs":[${id}]}`)).toContain('not a job id')
      expect(judge('POST /slurm/jobs/requeue', 45, `{"jobs":[${id}]}`), id).toContain('not a job id')
    }
  })
})

describe('documents that stall a daemon', () => {
  it.each([
    ['100,000 variables', SUBMIT, JSON.stringify({ job: { environment: Array(90_000).fill('A=b') } })],
    ['20,000 of them', SUBMIT, JSON.stringify({ job: { environment: Array(20_000).fill('A=b') } })],
    [
      '20,000 keys',
      SUBMIT,
      `{${Array.from({ length: 20_000 }, (_, index) => `"k${String(index)}":1`).join(',')}}`,
    ],
    ['ten million hosts', SUBMIT, '{"job":{"excluded_nodes":"n[0-9][0-9][0-9][0-9][0-9][0-9][0-9]"}}'],
    ['hosts in many items', SUBMIT, '{"job":{"required_nodes":["a[1-6000]","b[1-6000]"]}}'],
    ['hosts to expand', 'POST /util/hostnames', '{"hostlist":"n[0-65535]"}'],
    ['too many components', SUBMIT, JSON.stringify({ jobs: Array(257).fill({}) })],
    ['too many tasks', SUBMIT, '{"job":{"array":"0-99999999"}}'],
    ['no object', SUBMIT, '[]'],
  ])('%s', (_what, call, source) => {
    expect(judge(call, 45, source)).not.toBeNull()
  })

  it('a list or an object of 10,000 is read, one value more is not: about two seconds of slurmrestd', () => {
    const keys = Array.from({ length: 9_999 }, (_, index) => `"k${index}":1`).join(',')
    expect(judge(UPDATE, 45, `{${keys},"last":[]}`)).toBeNull()
    expect(judge(UPDATE, 45, `{${keys},"last":[1]}`)).toBe('"last" has too many values')
  })
})

const HOSTS: readonly (readonly [key: string, call: string, build: (hosts: string) => object])[] = [
  ['required_nodes', SUBMIT, (hosts) => ({ job: { required_nodes: [hosts] } })],
  ['excluded_nodes', SUBMIT, (hosts) => ({ job: { excluded_nodes: hosts } })],
  ['allocation_node_list', SUBMIT, (hosts) => ({ job: { allocation_node_list: hosts } })],
  ['nodes', 'DELETE /slurm/jobs', (hosts) => ({ nodes: hosts })],
  ['hostlist', 'POST /util/hostnames', (hosts) => ({ hostlist: hosts })],
  ['hostnames', 'POST /util/hostlist', (hosts) => ({ hostnames: [hosts] })],
  ['hostname', 'POST /slurm/node/{name}', (hosts) => ({ hostname: [hosts] })],
  ['address', 'POST /slurm/node/{name}', (hosts) => ({ address: [hosts] })],
  ['name', 'POST /slurm/node/{name}', (hosts) => ({ name: [hosts] })],
  ['node_conf', 'POST /slurm/new/node', (hosts) => ({ node_conf: hosts })],
  ['configured', 'POST /slurm/partitions', (hosts) => ({ partitions: [{ configured: hosts }] })],
  ['node_sets', 'POST /slurm/partitions', (hosts) => ({ partitions: [{ node_sets: hosts }] })],
  ['alternate', 'POST /slurm/partitions', (hosts) => ({ partitions: [{ alternate: hosts }] })],
  ['node_list', 'POST /slurm/reservation', (hosts) => ({ node_list: [hosts] })],
]

describe('slurmctld looks up and logs each unknown host', () => {
  it.each(HOSTS)('%s of %s: 10,000 at most', (key, call, build) => {
    const judgeHosts = (hosts: string) => judge(call, 45, JSON.stringify(build(hosts)))
    expect(judgeHosts('n[1-10000]')).toBeNull()
    for (const hosts of ['n[1-10001]', 'n[1-10000],login', 'n[0-99][0-100]'])
      expect(judgeHosts(hosts)).toBe(`"${key}" names more than 10000 hosts`)
  })

  it("no other field has a bound, and a job's name is text", () => {
    const keys = HOSTS.map(([key]) => key)
    for (const template of ['/slurm/nodes', '/slurmdb/clusters'])
      expect(findForm(template).hostKeys).toEqual(new Set(keys))
    expect(findForm('/slurm/job/submit').hostKeys).toEqual(new Set(keys.filter((key) => key !== 'name')))
    expect(judge(SUBMIT, 45, '{"job":{"name":"n[1-10001]"}}')).toBeNull()
  })

  it('in all fields together, in any case', () => {
    const source = (last: string) => `{"REQUIRED_NODES":["a[1-4000]","b[1-4000]"],"excluded_nodes":"${last}"}`
    expect(judge(UPDATE, 38, source('c[1-2000]'))).toBeNull()
    expect(judge(UPDATE, 38, source('c[1-2001]'))).toContain('more than 10000 hosts')
  })

  it('counts hosts without expanding them', () => {
    expect(countHosts('n[0-9,12],login')).toBe(12)
    expect(countHosts('n[0-9][0-9]x[1-2]')).toBe(200)
    expect(countHosts('n[')).toBe(1)
    expect(countHosts('n1 n2\tn3\nn4,n[5-6]')).toBe(6)
    expect(countHosts(`n1,n[1-${'9'.repeat(9)}]`)).toBe(1e9)
    expect(countHosts(`n1,n[1-${'9'.repeat(10)}]`)).toBe(Infinity)
    expect(countHosts(`n[${'9'.repeat(309)}-${'9'.repeat(310)}],n1`)).toBe(Infinity)
    expect(countHosts(`n${'[0-9]'.repeat(1_000)}`)).toBe(Infinity)
  })
})

it('26.05: slurmrestd dies of a change of accounting jobs that says not which, or not what', () => {
  const bodies = [
    '{}',
    '{"job_id_list":["1"]}',
    '{"job_rec":{}}',
    '{"jobs":[]}',
    '{"job_id_list":null,"job_rec":{}}',
  ]
  for (const source of bodies) expect(judge('POST /slurmdb/jobs', 44, source)).toContain('"job_id_list"')
  expect(
    judge('POST /slurmdb/jobs', 44, '{"job_id_list":["1"],"job_rec":{"comment":{"job":"x"}}}'),
  ).toBeNull()
})
