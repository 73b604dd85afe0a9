/** Real credentials of a real munged: what is accepted, and each refusal in its own words. */

import { afterAll, beforeAll, expect, test } from 'vitest'
import { BOB, mungeHeader, parseAnswer, type RealCluster, type RealGateway } from '../real-cluster.ts'

export function describeMunge(requireCluster: () => RealCluster): void {
  let gateway: RealGateway | null = null
  beforeAll(async () => {
    gateway = await requireCluster().startGateway()
  })
  afterAll(() => gateway?.stop())

  async function present(
    credential: string,
    localAddress?: string,
  ): Promise<{ status: number; body: string }> {
    const port = gateway?.port ?? 0
    const { requestRaw } = await import('../../support/raw-http.ts')
    const answer = await requestRaw(
      { host: '127.0.0.1', port },
      { method: 'GET', target: '/meta/whoami', headers: [mungeHeader(credential)] },
      localAddress === undefined ? {} : { localAddress },
    )
    return { status: answer.status, body: answer.body.toString('utf8') }
  }

  test('a fresh credential is its user, with whatever that user has in Slurm', async () => {
    const cluster = requireCluster()
    const answer = await present(cluster.makeCredential(undefined, BOB))
    expect([answer.status, JSON.parse(answer.body)]).toMatchObject([
      200,
      { method: 'munge', slurm_user: 'bob' },
    ])
  })

  test('a credential is good once', async () => {
    const credential = requireCluster().makeCredential()
    expect((await present(credential)).status).toBe(200)
    const replay = await present(credential)
    expect([replay.status, replay.body.includes('munge_replayed')]).toEqual([401, true])
  })

  test('of many concurrent presentations of one credential exactly one is accepted', async () => {
    const credential = requireCluster().makeCredential()
    const answers = await Promise.all(Array.from({ length: 20 }, () => present(credential)))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(19).fill(401)])
  })

  test('munge -n without -t 5 lives 300 s and is refused with the command that helps', async () => {
    const answer = await present(requireCluster().makeCredential(['-n']))
    expect([answer.status, answer.body.includes('munge_ttl_too_long')]).toEqual([401, true])
    expect(answer.body).toContain('300 s')
    expect(answer.body).toContain('munge -n -t 5')
  })

  test('a credential that was made on another host is refused', async () => {
    const cluster = requireCluster()
    const answer = await present(cluster.makeCredential(undefined, undefined, cluster.otherHost.socket))
    expect([answer.status, answer.body.includes('munge_wrong_host')]).toEqual([401, true])
  })

  test('a payload means the credential was made for something else', async () => {
    const answer = await present(requireCluster().makeCredential(['-s', 'x', '-t', '5']))
    expect([answer.status, answer.body.includes('munge_payload')]).toEqual([401, true])
  })

  test('root’s own credential is refused and says why', async () => {
    const answer = await present(requireCluster().makeCredential(undefined, { uid: 0 }))
    expect([answer.status, answer.body.includes('munge_uid_too_low')]).toEqual([401, true])
  })

  test('MUNGE callers see what their user may see: the Slurm user of the request is theirs', async () => {
    const cluster = requireCluster()
    const answer = await gateway?.call({
      method: 'GET',
      target: '/slurmdb/latest/user/bob',
      headers: [mungeHeader(cluster.makeCredential(undefined, BOB))],
    })
    expect(answer?.status).toBe(200)
    expect(answer === undefined ? null : parseAnswer(answer).errors).toEqual([])
  })
}
