/** A token of one account against real jobs of another: nothing of the other ever changes. */

import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  ALICE,
  bearer,
  buildJob,
  JSON_TYPE,
  OTHER_ACCOUNT,
  OWN_ACCOUNT,
  parseAnswer,
  type RealCluster,
  type RealGateway,
} from '../real-cluster.ts'

export function describeConfinement(requireCluster: () => RealCluster): void {
  let gateway: RealGateway | null = null
  let token = ''
  beforeAll(async () => {
    gateway = await requireCluster().startGateway()
    token = await requireCluster().issueToken(OWN_ACCOUNT)
  })
  afterAll(() => gateway?.stop())

  async function call(method: string, target: string, body?: string) {
    const headers = body === undefined ? [bearer(token)] : [bearer(token), JSON_TYPE]
    const answer = await gateway?.call({ method, target, headers, ...(body === undefined ? {} : { body }) })
    if (answer === undefined) throw new Error('no gateway')
    return { ...parseAnswer(answer), status: answer.status }
  }

  /** Directly, behind the gate's back. */
  async function submitAs(account: string, parameters: readonly string[] = []): Promise<string> {
    const command = [
      'sbatch',
      '--parsable',
      '-H',
      '-A',
      account,
      '-D',
      '/tmp',
      ...parameters,
      '--wrap',
      'sleep 1',
    ]
    const { stdout, stderr, code } = await requireCluster().slurm.run(command, ALICE.name)
    if (code !== 0) throw new Error(stderr)
    return stdout.trim()
  }

  async function showJob(jobId: string): Promise<string> {
    const { stdout } = await requireCluster().slurm.run([
      'squeue',
      '-h',
      '-j',
      jobId,
      '-t',
      'all',
      '-o',
      '%a %T %k',
    ])
    return stdout.trim()
  }

  async function readAccount(jobId: number | undefined): Promise<string> {
    return (await showJob(String(jobId))).split(' ')[0] ?? ''
  }

  for (const [name, fields] of [
    ['left out', {}],
    ['null', { account: null }],
    ['spelled in capitals', { account: OWN_ACCOUNT.toUpperCase() }],
  ] as const) {
    test(`a submission with the account ${name} is a job of the token's account, not of the user's default`, async () => {
      const answer = await call('POST', '/slurm/latest/job/submit', buildJob(fields))
      expect([answer.status, answer.errors]).toEqual([200, []])
      expect(await readAccount(answer.job_id)).toBe(OWN_ACCOUNT)
    })
  }

  test('a submission to another account is 403 and no job comes of it', async () => {
    const before = (await requireCluster().slurm.run(['squeue', '-h', '-t', 'all'])).stdout
    const answer = await call('POST', '/slurm/latest/job/submit', buildJob({ account: OTHER_ACCOUNT }))
    expect([answer.status, answer.errors?.[0]?.error]).toEqual([403, 'account_mismatch'])
    expect((await requireCluster().slurm.run(['squeue', '-h', '-t', 'all'])).stdout).toBe(before)
  })

  test('a submission of several components is confined in each', async () => {
    const component = (fields: object): unknown =>
      (JSON.parse(buildJob({ ...fields, script: undefined })) as { job: unknown }).job
    const script = '#!/bin/bash\nsleep 1\n'
    const jobs = JSON.stringify({ script, jobs: [component({}), component({ account: null })] })
    const answer = await call('POST', '/slurm/latest/job/submit', jobs)
    expect([answer.status, answer.errors]).toEqual([200, []])
    const { stdout } = await requireCluster().slurm.run([
      'squeue',
      '-h',
      '-t',
      'all',
      '-j',
      String(answer.job_id),
      '-o',
      '%a',
    ])
    expect(stdout.trim().split('\n')).toEqual([OWN_ACCOUNT, OWN_ACCOUNT])
    const mixed = JSON.stringify({ script, jobs: [component({}), component({ account: OTHER_ACCOUNT })] })
    expect((await call('POST', '/slurm/latest/job/submit', mixed)).status).toBe(403)
  })

  test('its own job can be updated and cancelled', async () => {
    const jobId = await submitAs(OWN_ACCOUNT)
    expect((await call('POST', `/slurm/latest/job/${jobId}`, '{"comment":"ours"}')).status).toBe(200)
    expect(await showJob(jobId)).toBe(`${OWN_ACCOUNT} PENDING ours`)
    expect((await call('DELETE', `/slurm/latest/job/${jobId}`)).status).toBe(200)
    expect(await showJob(jobId)).toContain('CANCELLED')
  })

  test('another account’s job is neither updated, nor moved, nor cancelled, nor signalled', async () => {
    const jobId = await submitAs(OTHER_ACCOUNT)
    const before = await showJob(jobId)
    for (const [method, target, body] of [
      ['POST', `/slurm/latest/job/${jobId}`, '{"comment":"theirs"}'],
      ['POST', `/slurm/latest/job/${jobId}`, `{"account":"${OWN_ACCOUNT}"}`],
      ['DELETE', `/slurm/latest/job/${jobId}`, undefined],
      ['DELETE', `/slurm/latest/job/${jobId}?signal=KILL`, undefined],
    ] as const) {
      const answer = await call(method, target, body)
      expect([answer.status, answer.errors?.[0]?.error]).toEqual([403, 'account_mismatch'])
    }
    expect(await showJob(jobId)).toBe(before)
  })

  test('its own job cannot be moved to another account', async () => {
    const jobId = await submitAs(OWN_ACCOUNT)
    const answer = await call('POST', `/slurm/latest/job/${jobId}`, `{"account":"${OTHER_ACCOUNT}"}`)
    expect([answer.status, answer.errors?.[0]?.error]).toEqual([403, 'account_mismatch'])
    expect(await showJob(jobId)).toContain(`${OWN_ACCOUNT} PENDING`)
  })

  test('an array with a task in another account is not touched', async () => {
    const jobId = await submitAs(OWN_ACCOUNT, ['--array=1-3'])
    const moved = await requireCluster().slurm.run([
      'scontrol',
      'update',
      `JobId=${jobId}_2`,
      `Account=${OTHER_ACCOUNT}`,
    ])
    expect(moved.code).toBe(0)
    const answer = await call('DELETE', `/slurm/latest/job/${jobId}`)
    expect([answer.status, answer.errors?.[0]?.error]).toEqual([403, 'account_mismatch'])
    expect(await showJob(jobId)).not.toContain('CANCELLED')
  })

  test('unknown and foreign jobs look alike', async () => {
    const foreign = await submitAs(OTHER_ACCOUNT)
    const [one, two] = [
      await call('DELETE', `/slurm/latest/job/${foreign}`),
      await call('DELETE', '/slurm/latest/job/4000000'),
    ]
    expect([one.status, one.errors]).toEqual([two.status, two.errors])
  })

  test('bulk cancel by anything but a list of jobs is closed to it', async () => {
    const jobId = await submitAs(OTHER_ACCOUNT)
    for (const body of [`{"user_name":"${ALICE.name}"}`, `{"account":"${OWN_ACCOUNT}"}`, '{}']) {
      const answer = await call('DELETE', '/slurm/latest/jobs/', body)
      expect([answer.status, answer.errors?.[0]?.error]).toEqual([403, 'operation_closed'])
    }
    expect(await showJob(jobId)).toContain('PENDING')
  })

  test('a list of its own jobs is cancelled whole; with one foreign job in it, not at all', async () => {
    const [one, two] = [await submitAs(OWN_ACCOUNT), await submitAs(OWN_ACCOUNT)]
    const foreign = await submitAs(OTHER_ACCOUNT)
    const mixed = await call('DELETE', '/slurm/latest/jobs/', JSON.stringify({ jobs: [one, foreign, two] }))
    expect([mixed.status, mixed.errors?.[0]?.error]).toEqual([403, 'account_mismatch'])
    for (const jobId of [one, two, foreign]) expect(await showJob(jobId)).toContain('PENDING')
    expect((await call('DELETE', '/slurm/latest/jobs/', JSON.stringify({ jobs: [one, two] }))).status).toBe(
      200,
    )
    for (const jobId of [one, two]) expect(await showJob(jobId)).toContain('CANCELLED')
    expect(await showJob(foreign)).toContain('PENDING')
  })

  test('slurmctld itself spares a listed job that the account filter does not match', async () => {
    const foreign = await submitAs(OTHER_ACCOUNT)
    const unrestricted = await requireCluster().issueToken(null)
    const answer = await gateway?.call({
      method: 'DELETE',
      target: '/slurm/latest/jobs/',
      headers: [bearer(unrestricted), JSON_TYPE],
      body: JSON.stringify({ account: OWN_ACCOUNT, jobs: [foreign] }),
    })
    expect(answer?.status).toBe(200)
    expect(await showJob(foreign)).toContain('PENDING')
  })

  test('an explanation looks at the job and changes nothing', async () => {
    const [own, foreign] = [await submitAs(OWN_ACCOUNT), await submitAs(OTHER_ACCOUNT)]
    for (const [jobId, decision] of [
      [own, 'allowed'],
      [foreign, 'refused'],
    ] as const) {
      const question = JSON.stringify({ method: 'DELETE', path: `/slurm/latest/job/${jobId}` })
      const answer = await call('POST', '/meta/explain', question)
      expect(answer).toMatchObject({ status: 200, decision })
      expect(await showJob(jobId)).toContain('PENDING')
    }
  })
}
