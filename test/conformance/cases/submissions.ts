/** Submissions are confined to the token's account, whatever spelling, place or repetition a body tries. */

import { expect } from 'vitest'
import type { Rule } from '../../../src/refusal.ts'
import type { Bench } from '../bench.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectForwarded, expectRefusal, readJson } from '../expect-answer.ts'
import { SUBMIT } from '../expect-submitted.ts'
import type { TokenName } from '../issued-tokens.ts'
import { postJson } from '../post-json.ts'

const SOURCE = 'CONTRACT API tokens: a restriction confines writes'
const READER_SOURCE = "slurm.md: slurmrestd's JSON reader is lenient"

interface SubmitDocument {
  readonly script?: string
  readonly job?: { readonly account?: string; readonly name?: string; readonly script?: string }
  readonly jobs?: readonly { readonly account?: string }[]
}

async function submit(bench: Bench, body: string, token: TokenName = 'confined'): Promise<SubmitDocument> {
  const answer = await bench.sendAs(token, postJson(SUBMIT, body))
  return readJson(expectForwarded(bench, answer)) as SubmitDocument
}

const INSERTED: readonly (readonly [name: string, body: string])[] = [
  ['is left out', '{"script":"#!/bin/sh","job":{"name":"a"}}'],
  ['is null', '{"script":"#!/bin/sh","job":{"account":null}}'],
  ['is its own', '{"job":{"account":"proj_a","script":"#!/bin/sh"}}'],
  ['is its own in another case', '{"job":{"script":"#!/bin/sh","account":"PROJ_a"}}'],
  ['is its own, spelled with an escape', '{"job":{"acc\\u006funt":"proj\\u005fa"}}'],
]

const inserted: readonly ConformanceCase[] = [
  ...INSERTED.map(([name, body]): ConformanceCase => ({
    name: `submit: the account ${name}, and slurmrestd is told the token's account`,
    source: 'slurm.md: account left out means the default account',
    async run(bench) {
      const { job } = await submit(bench, body)
      expect(job?.account?.toLowerCase()).toBe('proj_a')
      expect(Object.keys(job ?? {}).filter((key) => key.toLowerCase() === 'account')).toEqual(['account'])
    },
  })),
  {
    name: 'submit: every element of jobs gets the account',
    source: 'slurm.md: account can stand in every element of jobs',
    async run(bench) {
      const body = '{"script":"#!/bin/sh","jobs":[{"name":"a"},{"account":"proj_a"},{"account":null}]}'
      const { jobs } = await submit(bench, body)
      expect(jobs?.map(({ account }) => account)).toEqual(['proj_a', 'proj_a', 'proj_a'])
    },
  },
  {
    name: 'submit: what else the job says is kept, 64-bit numbers included',
    source: 'slurm.md: integers can exceed 2^53',
    async run(bench) {
      const body =
        '{"script":"#!/bin/sh\\necho \\u00e9","job":{"name":"n","environment":["A=1","B=x y"],' +
        '"memory_per_node":{"set":true,"number":9007199254740993},"time_limit":{"set":true,"number":18446744073709551614}}}'
      const answer = await bench.sendAs('confined', postJson(SUBMIT, body))
      const sent = expectForwarded(bench, answer).body.toString('utf8')
      expect(sent).toMatch(/"number":\s*9007199254740993\b/)
      expect(sent).toMatch(/"number":\s*18446744073709551614\b/)
      expect(JSON.parse(sent)).toMatchObject({
        script: '#!/bin/sh\necho é',
        job: { name: 'n', environment: ['A=1', 'B=x y'], account: 'proj_a' },
      })
    },
  },
  {
    name: 'submit: a token without a restriction names any account, and none is put in',
    source: 'CONTRACT Bodies: tokens without a restriction skip only the account rules',
    async run(bench) {
      expect((await submit(bench, '{"job":{"account":"proj_b"}}', 'free')).job?.account).toBe('proj_b')
      bench.reset()
      expect((await submit(bench, '{"job":{"name":"x"}}', 'free')).job).toEqual({ name: 'x' })
    },
  },
]

const REFUSED: readonly (readonly [name: string, body: string, rule: Rule])[] = [
  ["another's account", '{"job":{"account":"proj_b"}}', 'account_mismatch'],
  ["another's account, spelled with an escape", '{"job":{"acc\\u006funt":"proj_b"}}', 'account_mismatch'],
  [
    "another's account in one element of jobs",
    '{"jobs":[{"account":"proj_a"},{"account":"proj_b"}]}',
    'account_mismatch',
  ],
  ['an account with white space', '{"job":{"account":" proj_a"}}', 'account_mismatch'],
  ['an account list', '{"job":{"account":"proj_a,proj_b"}}', 'account_mismatch'],
  [
    'an account beside which a letter only looks the same',
    '{"job":{"account":"proj_\\u0430"}}',
    'account_mismatch',
  ],
  ['an account with a NUL inside', '{"job":{"account":"proj_a\\u0000proj_b"}}', 'json_malformed'],
  ['a key account that is a number', '{"job":{"account":5}}', 'job_malformed'],
  ['a key account that is an object', '{"job":{"account":{"set":true}}}', 'job_malformed'],
  ['the account twice', '{"job":{"account":"proj_a","account":"proj_b"}}', 'json_malformed'],
  ['the account twice, both its own', '{"job":{"account":"proj_a","account":"proj_a"}}', 'json_malformed'],
  [
    'the account twice, once escaped',
    '{"job":{"account":"proj_a","acc\\u006funt":"proj_b"}}',
    'json_malformed',
  ],
  ['the job twice', '{"job":{"account":"proj_a"},"job":{"account":"proj_b"}}', 'json_malformed'],
  ['a key twice deep inside', '{"job":{"time_limit":{"set":true,"set":false}}}', 'json_malformed'],
  ['the key in upper case', '{"job":{"ACCOUNT":"proj_b"}}', 'job_field_not_allowed'],
  ['the key in two cases', '{"job":{"account":"proj_a","Account":"proj_b"}}', 'json_malformed'],
  [
    'job and jobs where one is another account',
    '{"job":{"account":"proj_a"},"jobs":[{"account":"proj_b"}]}',
    'job_malformed',
  ],
  ['an account at top level', '{"account":"proj_b","job":{}}', 'job_field_not_allowed'],
  ['an account inside a field', '{"job":{"hetjob":[{"account":"proj_b"}]}}', 'job_field_not_allowed'],
  ['hetjob at top level', '{"hetjob":[{"account":"proj_b"}]}', 'job_field_not_allowed'],
]

const refused: readonly ConformanceCase[] = REFUSED.map(([name, body, rule]) => ({
  name: `submit refused: ${name}`,
  source: READER_SOURCE,
  async run(bench) {
    expectRefusal(bench, await bench.sendAs('confined', postJson(SUBMIT, body)), rule)
  },
}))

const FIELDS = [
  'user_id', 'group_id', 'clusters', 'cluster_constraint', 'crontab', 'admin_comment', 'site_factor',
  'spank_environment', 'allocation_node_list', 'allocation_node_port', 'reserve_ports', 'x11',
  'x11_magic_cookie', 'x11_target_host', 'x11_target_port', 'selinux_context', 'job_id', 'step_id', 'hetjob_group',
  'a_field_of_the_future',
] // prettier-ignore

const fields: readonly ConformanceCase[] = [
  ...FIELDS.map((field): ConformanceCase => ({
    name: `submit refused for every token: the field ${field}`,
    source: 'slurm.md: allow-list job fields, do not deny-list',
    async run(bench) {
      for (const token of ['confined', 'free'] as const) {
        const body = `{"job":{"name":"n","${field}":"1"}}`
        expectRefusal(bench, await bench.sendAs(token, postJson(SUBMIT, body)), 'job_field_not_allowed')
      }
    },
  })),
  {
    name: 'submit refused: a dependency that expands another job',
    source: 'slurm.md: dependency expand:',
    async run(bench) {
      for (const dependency of ['expand:102', 'afterok:101,expand:102', 'EXPAND:102']) {
        const body = JSON.stringify({ job: { dependency } })
        const answer = await bench.sendAs('confined', postJson(SUBMIT, body))
        expectRefusal(bench, answer, 'job_field_not_allowed')
      }
    },
  },
  {
    name: 'submit: a dependency on another job is allowed',
    source: SOURCE,
    async run(bench) {
      expect((await submit(bench, '{"job":{"dependency":"afterok:101"}}')).job).toHaveProperty('dependency')
    },
  },
]

const BODIES: readonly (readonly [body: string, rule: Rule])[] = [
  ['[]', 'job_malformed'],
  ['"x"', 'job_malformed'],
  ['null', 'job_malformed'],
  ['5', 'job_malformed'],
  ['', 'json_malformed'],
  [' ', 'json_malformed'],
  ['{"job":[]}', 'job_malformed'],
  ['{"job":"x"}', 'job_malformed'],
  ['{"job":5}', 'job_malformed'],
  ['{"jobs":{}}', 'job_malformed'],
  ['{"jobs":[5]}', 'job_malformed'],
]
const shapes: readonly ConformanceCase[] = BODIES.map(([body, rule]) => ({
  name: `submit refused: the body ${body === '' ? 'that is empty' : body}`,
  source: 'CONTRACT Bodies',
  async run(bench) {
    expectRefusal(bench, await bench.sendAs('confined', postJson(SUBMIT, body)), rule)
  },
}))

export const SUBMISSION_CASES: readonly ConformanceCase[] = [...inserted, ...refused, ...fields, ...shapes]
