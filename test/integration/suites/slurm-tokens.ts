/** Slurm's own daemons accept the tokens we mint, of both kinds, and our failure is never the caller's 401. */

import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { bearer, parseAnswer, type RealCluster } from '../real-cluster.ts'

export function describeSlurmTokens(requireCluster: () => RealCluster): void {
  const kinds = [
    ['HS256', (cluster: RealCluster) => ({ SLURM_JWT_HS256_KEY_FILE: cluster.slurm.hs256KeyFile })],
    [
      'RS256',
      (cluster: RealCluster) => ({
        SLURM_JWT_HS256_KEY_FILE: undefined,
        SLURM_JWT_RS256_JWK_FILE: cluster.slurm.rs256JwkFile,
      }),
    ],
  ] as const

  for (const [kind, environment] of kinds) {
    test(`slurmctld and slurmdbd accept an ${kind} token (slurm.md, "Slurm tokens")`, async () => {
      const cluster = requireCluster()
      const gateway = await cluster.startGateway(environment(cluster))
      const token = await cluster.issueToken(null)
      try {
        for (const target of [
          '/slurm/latest/diag',
          '/slurm/latest/jobs',
          '/slurmdb/latest/jobs',
          '/slurmdb/latest/users',
        ]) {
          const answer = await gateway.call({ method: 'GET', target, headers: [bearer(token)] })
          expect([target, answer.status, parseAnswer(answer).errors]).toEqual([target, 200, []])
        }
      } finally {
        await gateway.stop()
      }
    })
  }

  test('a key that Slurm does not know is 502 slurm_token_refused, not the caller’s 401', async () => {
    const cluster = requireCluster()
    const gateway = await cluster.startGateway({
      SLURM_JWT_HS256_KEY_FILE: undefined,
      SLURM_JWT_HS256_KEY: randomBytes(32).toString('base64'),
    })
    const token = await cluster.issueToken(null)
    try {
      const answer = await gateway.call({
        method: 'GET',
        target: '/slurm/latest/jobs',
        headers: [bearer(token)],
      })
      expect(answer.status).toBe(502)
      expect(parseAnswer(answer).errors?.[0]?.error).toBe('slurm_token_refused')
      const accounting = await gateway.call({
        method: 'GET',
        target: '/slurmdb/latest/jobs',
        headers: [bearer(token)],
      })
      expect(accounting.status).toBe(502)
    } finally {
      await gateway.stop()
    }
  })

  test('slurmrestd is reached over its unix socket too', async () => {
    const cluster = requireCluster()
    const gateway = await cluster.startGateway({ SLURMRESTD_URL: `unix:${cluster.slurm.slurmrestdSocket}` })
    const token = await cluster.issueToken(null)
    try {
      const answer = await gateway.call({
        method: 'GET',
        target: '/slurm/latest/jobs',
        headers: [bearer(token)],
      })
      expect(answer.status).toBe(200)
    } finally {
      await gateway.stop()
    }
  })
}
