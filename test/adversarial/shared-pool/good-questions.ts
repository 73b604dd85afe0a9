/** What is answered with the caller's own: jobs, one job, its user in the accounting, itself; and a write to its job. */

import { LONG_LIST } from './identities.ts'
import type { Expected } from './judge.ts'
import type { Asker, QuestionKind } from './question.ts'

/** An answer of slurmrestd's without an error. */
function expectGood(version: number, jobs: readonly string[] | null, isNamed = true): Omit<Expected, 'name'> {
  return { status: 200, isNamed, version, jobs, error: null }
}

export const GOOD_QUESTIONS: readonly QuestionKind[] = [
  {
    kind: 'own jobs',
    share: 240,
    ask(asker) {
      const { identity, version, dice } = asker
      // Megabytes each time would be all that slurmrestd does.
      if (identity.jobs.length > LONG_LIST && dice.below(10) > 0) return askJob(asker)
      return { target: `/slurm/v0.0.${version}/jobs`, expected: expectGood(version, identity.jobs) }
    },
  },
  { kind: 'own job', share: 300, ask: askJob },
  {
    kind: 'own user',
    share: 30,
    ask: ({ version }) => ({
      target: `/slurmdb/v0.0.${version}/users/`,
      expected: expectGood(version, null),
    }),
  },
  {
    kind: 'whoami',
    share: 60,
    ask: () => ({
      target: '/meta/whoami',
      expected: { status: 200, isNamed: true, version: null, jobs: null, error: null },
    }),
  },
  {
    // Ends what is kept of the caller's. What was written names caller, job and request.
    kind: 'write to own job',
    share: 40,
    ask({ identity, version, dice, number }) {
      const job = dice.pick(identity.jobs)
      return {
        method: 'POST',
        target: `/slurm/v0.0.${version}/job/${job}`,
        body: JSON.stringify({ comment: `${identity.name} of ${job} ${number}` }),
        expected: expectGood(version, null, false),
      }
    },
  },
]

function askJob({ identity, version, dice }: Asker): ReturnType<QuestionKind['ask']> {
  const job = dice.pick(identity.jobs)
  return { target: `/slurm/v0.0.${version}/job/${job}`, expected: expectGood(version, [job]) }
}
