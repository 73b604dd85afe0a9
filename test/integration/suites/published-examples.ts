/** The examples a node owner publishes, run by a shell as they stand, but for host, token and munged's socket. */

import { execFileSync } from 'node:child_process'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { waitUntil } from '../../support/program.ts'
import {
  ALICE,
  asUser,
  OWN_ACCOUNT,
  type RealCluster,
  type RealGateway,
  type SlurmAnswer,
} from '../real-cluster.ts'

const JOBS = 'curl https://HOST/slurm/latest/jobs -H "Authorization: MUNGE $(munge -n -t 5)"'
const SUBMIT = `curl https://HOST/slurm/latest/job/submit -H "Content-Type: application/json" -H "Authorization: MUNGE $(munge -n -t 5)" -d '{
"job": { "name": "test-job", "environment": [ "PATH=/usr/local/bin:/usr/bin:/usr/local/sbin:/usr/sbin" ],
"current_working_directory": "'$HOME'", "script": "#!/bin/bash\\nhostname\\nsleep 30\\necho done",
}
}'`
const BEARER = 'curl -s -H "Authorization: Bearer abc123-your-token-here" https://HOST/slurm/latest/jobs'
const HEADER_PAIR =
  'curl -s -H "X-Slurm-User-Name: palmapi_bearer" -H "X-Slurm-User-Token: abc123-your-token-here" https://HOST/slurm/latest/jobs'

export function describePublishedExamples(requireCluster: () => RealCluster): void {
  let gateway: RealGateway | null = null
  let token = ''

  beforeAll(async () => {
    gateway = await requireCluster().startGateway()
    token = await requireCluster().issueToken(OWN_ACCOUNT)
  })
  afterAll(() => gateway?.stop())

  /** As alice, with her home; `munge` finds the test's own munged. */
  function runAsAlice(example: string): SlurmAnswer {
    const command = example
      .replace('https://HOST', `http://127.0.0.1:${String(gateway?.port ?? 0)}`)
      .replace('abc123-your-token-here', token)
      .replace('munge -n', `munge --socket=${requireCluster().munged.socket} -n`)
    const output = execFileSync('setpriv', [...asUser(ALICE.uid), 'bash', '-c', command], {
      env: { PATH: process.env['PATH'], HOME: `/home/${ALICE.name}` },
      stdio: ['ignore', 'pipe', 'ignore'],
      encoding: 'utf8',
    })
    return JSON.parse(output) as SlurmAnswer
  }

  for (const [name, example] of [
    ['MUNGE', JOBS],
    ['bearer', BEARER],
    ['header pair', HEADER_PAIR],
  ] as const) {
    test(`the ${name} example lists the jobs`, () => {
      const answer = runAsAlice(example)
      expect(answer.errors).toEqual([])
      expect(Array.isArray(answer.jobs)).toBe(true)
    })
  }

  test('the submit example, trailing comma and all, is a job of the caller that ends COMPLETED', async () => {
    const { slurm } = requireCluster()
    const answer = runAsAlice(SUBMIT.replace('sleep 30', 'sleep 2'))
    expect(answer.errors).toEqual([])
    const jobId = String(answer.job_id)
    const show = async (): Promise<string> => {
      const { stdout } = await slurm.run(['sacct', '-n', '-X', '-P', '-j', jobId, '-o', 'User,State'])
      return stdout.trim()
    }
    await waitUntil('the job ends', async () => (await show()) === `${ALICE.name}|COMPLETED`, 60_000)
  })
}
