/** Each dependency taken away from a running gateway: 5xx, never 401, never open, and better again without a restart. */

import { afterAll, beforeAll, expect, test } from 'vitest'
import { waitUntil } from '../../support/program.ts'
import {
  bearer,
  buildJob,
  JSON_TYPE,
  OWN_ACCOUNT,
  parseAnswer,
  type RealCluster,
  type RealGateway,
} from '../real-cluster.ts'

export function describeFailures(requireCluster: () => RealCluster): void {
  let gateway: RealGateway | null = null
  let token = ''
  beforeAll(async () => {
    gateway = await requireCluster().startGateway({ UPSTREAM_TIMEOUT_SECONDS: '10', CACHE_TTL_SECONDS: '0' })
    token = await requireCluster().issueToken(OWN_ACCOUNT)
  })
  afterAll(() => gateway?.stop())

  async function call(target: string, headers = [bearer(token)]) {
    const answer = await gateway?.call({ method: 'GET', target, headers })
    if (answer === undefined) throw new Error('no gateway')
    return answer
  }

  const isWell = (target: string) => async (): Promise<boolean> => (await call(target)).status === 200

  test('slurmrestd down is 502 and up again is 200', async () => {
    const { slurm } = requireCluster()
    await waitUntil('all is well', isWell('/slurm/latest/jobs'))
    await slurm.stopDaemon('slurmrestd')
    const answer = await call('/slurm/latest/jobs')
    expect([answer.status, parseAnswer(answer).errors?.[0]?.error]).toEqual([502, 'upstream_unreachable'])
    expect((await call('/slurm/latest/jobs', [])).status).toBe(401)
    expect((await call('/readyz')).status).toBe(503)
    await slurm.startDaemon('slurmrestd')
    await waitUntil('slurmrestd is back', isWell('/slurm/latest/jobs'))
  })

  test('slurmctld down is slurmrestd’s own error, not a 401, and a submission is not confirmed', async () => {
    const { slurm } = requireCluster()
    await slurm.stopDaemon('slurmctld')
    const answer = await call('/slurm/latest/jobs')
    expect(answer.status).toBeGreaterThanOrEqual(500)
    const submit = await gateway?.call({
      method: 'POST',
      target: '/slurm/latest/job/submit',
      headers: [bearer(token), JSON_TYPE],
      body: buildJob(),
    })
    expect(submit?.status).toBeGreaterThanOrEqual(500)
    await slurm.startDaemon('slurmctld')
    await waitUntil('slurmctld is back', isWell('/slurm/latest/jobs'), 60_000)
  })

  test('slurmdbd down is slurmrestd’s own error, not a 401', async () => {
    const { slurm } = requireCluster()
    await slurm.stopDaemon('slurmdbd')
    const answer = await call('/slurmdb/latest/jobs')
    expect(answer.status).toBeGreaterThanOrEqual(500)
    await slurm.startDaemon('slurmdbd')
    await waitUntil('slurmdbd is back', isWell('/slurmdb/latest/jobs'), 60_000)
  })

  test('munged down is 503 for MUNGE callers and nothing for the others', async () => {
    const cluster = requireCluster()
    const credential = cluster.makeCredential(undefined, undefined, cluster.otherHost.socket)
    await cluster.munged.stop()
    const answer = await call('/meta/whoami', [['Authorization', `MUNGE ${credential}`]])
    expect([answer.status, parseAnswer(answer).errors?.[0]?.error]).toEqual([503, 'munged_unavailable'])
    expect((await call('/meta/whoami')).status).toBe(200)
  })
}
