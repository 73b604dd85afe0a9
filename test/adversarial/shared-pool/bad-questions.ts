/**
 * What is answered with an error, each with its own: slurmrestd's, which 26.05 sends twice and which names the job that was
 * asked for, and the gate's refusals. And clients that do not wait for their answer.
 */

import { randomBytes } from 'node:crypto'
import { buildOpaqueToken } from '../../../src/tokens/token-form.ts'
import { LONG_LIST } from './identities.ts'
import type { ExpectedError } from './judge.ts'
import type { Asker, Draft, QuestionKind } from './question.ts'

/** Slurm's, as 26.05 answers them. */
const INVALID_JOB_ID = 2017
const INVALID_PARTITION = 2000

/** Ids that no job of the run has: a number of its own for each request. */
const UNKNOWN_JOBS_FROM = 1_000_000

function expectSlurm(version: number, status: number, error: ExpectedError): Draft['expected'] {
  return { status, isNamed: false, version, jobs: null, error }
}

function expectRefusal(status: number, rule: string, says = ''): Draft['expected'] {
  return { status, isNamed: false, version: null, jobs: null, error: { code: rule, says } }
}

function askUnknownJob({ version, number }: Asker, id = String(UNKNOWN_JOBS_FROM + number)): Draft {
  const error = { code: INVALID_JOB_ID, says: ` JobId=${id} ` }
  return { target: `/slurm/v0.0.${version}/job/${id}`, expected: expectSlurm(version, 404, error) }
}

/** Refused whatever the credential: no such call is ever judged further. */
function refuseCredential(asker: Asker, rule: string, credential: NonNullable<Draft['credential']>): Draft {
  const { identity, version, dice } = asker
  const paths = ['jobs', `job/${dice.pick(identity.jobs)}`]
  const target = `/slurm/v0.0.${version}/${dice.pick(paths)}`
  return { target, credential, expected: expectRefusal(401, rule) }
}

const OF_SLURM: readonly QuestionKind[] = [
  { kind: 'unknown job', share: 100, ask: (asker) => askUnknownJob(asker) },
  {
    kind: 'job of another',
    share: 50,
    ask: (asker) => askUnknownJob(asker, asker.dice.pick(asker.dice.pick(asker.others).jobs)),
  },
  {
    kind: 'write to unknown job',
    share: 30,
    ask({ identity, version, number }) {
      const error = { code: INVALID_JOB_ID, says: 'Job update requested failed' }
      return {
        method: 'POST',
        target: `/slurm/v0.0.${version}/job/${String(UNKNOWN_JOBS_FROM + number)}`,
        body: '{"comment":"none"}',
        expected: identity.isBound
          ? expectRefusal(403, 'account_mismatch', ` ${identity.account},`)
          : expectSlurm(version, 404, error),
      }
    },
  },
  {
    kind: 'unknown partition',
    share: 30,
    ask({ identity, version, number }) {
      const job = {
        partition: `none${String(number)}`,
        account: identity.account,
        environment: ['PATH=/bin'],
        current_working_directory: '/tmp',
        script: '#!/bin/sh\n',
      }
      const error = { code: INVALID_PARTITION, says: 'Batch job submission failed' }
      return {
        method: 'POST',
        target: `/slurm/v0.0.${version}/job/submit`,
        body: JSON.stringify({ job }),
        expected: expectSlurm(version, 422, error),
      }
    },
  },
]

const OF_THE_GATE: readonly QuestionKind[] = [
  {
    kind: 'malformed id',
    share: 15,
    ask: ({ version, number }) => ({
      target: `/slurm/v0.0.${version}/job/0${String(number)}`,
      expected: expectRefusal(404, 'path_id_malformed'),
    }),
  },
  {
    kind: 'malformed query',
    share: 15,
    ask: ({ version }) => ({
      target: `/slurm/v0.0.${version}/jobs?update_time=someday`,
      expected: expectRefusal(400, 'query_malformed', 'update_time'),
    }),
  },
  {
    kind: 'malformed body',
    share: 15,
    ask: ({ identity, version, dice }) => ({
      method: 'POST',
      target: `/slurm/v0.0.${version}/job/${dice.pick(identity.jobs)}`,
      body: '{"comment": "half',
      expected: expectRefusal(400, 'json_malformed'),
    }),
  },
  {
    kind: 'unknown token',
    share: 15,
    ask(asker) {
      const token = buildOpaqueToken((length) => new Uint8Array(randomBytes(length)))
      return refuseCredential(asker, 'token_unknown', [['Authorization', `Bearer ${token}`]])
    },
  },
  {
    kind: 'name of another',
    share: 15,
    ask: (asker) =>
      refuseCredential(asker, 'user_name_mismatch', [
        ['X-Slurm-User-Name', asker.dice.pick(asker.others).name],
        ['X-Slurm-User-Token', asker.identity.token],
      ]),
  },
  {
    kind: 'no credential',
    share: 10,
    ask: (asker) => refuseCredential(asker, 'credential_missing', []),
  },
  {
    kind: 'missing scope',
    share: 15,
    ask: ({ identity, version }) => ({
      target: `/slurm/v0.0.${version}/jobs`,
      credential: [['Authorization', `Bearer ${identity.accountingToken}`]],
      expected: expectRefusal(403, 'insufficient_scope', ' slurm:read;'),
    }),
  },
]

/** Leaves its own list, or the longest one there is. */
function leave(asker: Asker, leaves: 'before' | 'within', isLong: boolean): Draft {
  const { version } = asker
  const longest = [asker.identity, ...asker.others].filter(({ jobs }) => jobs.length > LONG_LIST)
  const identity = isLong ? asker.dice.pick(longest) : asker.identity
  return {
    target: `/slurm/v0.0.${version}/jobs`,
    identity,
    expected: { status: 200, isNamed: true, version, jobs: identity.jobs, error: null },
    leaves,
  }
}

export const BAD_QUESTIONS: readonly QuestionKind[] = [
  ...OF_SLURM,
  ...OF_THE_GATE,
  {
    kind: 'left before the answer',
    share: 10,
    ask: (asker) => leave(asker, 'before', asker.dice.below(5) === 0),
  },
  { kind: 'left within the answer', share: 10, ask: (asker) => leave(asker, 'within', false) },
  { kind: 'left within a long answer', share: 8, ask: (asker) => leave(asker, 'within', true) },
]
