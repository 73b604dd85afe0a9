/**
 * Slurm's keys are exchanged while callers go on: under RS256 with an overlap, under HS256 by way of RS256, nobody notices;
 * under HS256 alone there is a gap, in which nothing is done twice. What Slurm reads when is measured here too.
 */

import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli } from '../../support/cli.ts'
import { Place } from '../../support/place.ts'
import { startSteadyCaller } from '../../support/steady-caller.ts'
import type { Environment } from '../../support/surroundings.ts'
import { bearer, type RealCluster } from '../real-cluster.ts'
import { HS256_FILE, read, SlurmKeyExchange, type Watch } from './slurm-key-exchange.ts'

export function describeSlurmKeyRotation(requireCluster: () => RealCluster): void {
  const keys = new SlurmKeyExchange(requireCluster)
  const gateway = new Place()
  let token = ''

  beforeAll(async () => {
    keys.begin()
    token = await requireCluster().issueToken(null)
  })
  afterAll(async () => {
    await gateway.stop()
    await keys.end()
  })

  const replaceGateway = (environment: Environment): Promise<void> =>
    gateway.replace(() => requireCluster().startGateway(environment))
  const makeHeaders = () => [bearer(token)]
  const watch = (): Promise<Watch> =>
    keys.watch({ port: () => gateway.port, readers: [makeHeaders], submitter: makeHeaders })

  async function diagnose(environment: Environment): Promise<readonly string[]> {
    const { databaseUrl, slurm, munged } = requireCluster()
    const { stdout } = await runCli(['doctor', '--json'], {
      environment: {
        DATABASE_URL: databaseUrl,
        SLURMRESTD_URL: slurm.slurmrestdUrl,
        MUNGE_SOCKET: munged.socket,
        ...environment,
      },
    })
    const found = JSON.parse(stdout) as { dependency: string; state: string }[]
    return ['slurmctld', 'slurmdbd'].map(
      (name) => found.find(({ dependency }) => dependency === name)?.state ?? '',
    )
  }

  test('RS256: the new key beside the old one, then the gateway, then the old one out: no call fails', async () => {
    const old = keys.useRs256(requireCluster().slurm.rs256JwkFile)
    const next = keys.makeRs256('next')
    await replaceGateway(old)
    const callers = await watch()
    keys.installJwks([next.jwk, ...keys.readJwks()])
    const { readsAtReconfigure, refused } = keys.habits
    await keys.reconfigure()
    expect((await keys.ask(next.environment, token))[0]).toBe(readsAtReconfigure ? '200 ' : refused[0])
    if (!readsAtReconfigure) await keys.readKeysInSlurmctld()
    // slurmdbd reads keys at its start only, and doctor tells.
    expect(await Promise.all([keys.ask(next.environment, token), diagnose(next.environment)])).toEqual([
      ['200 ', refused[1]],
      ['ok', 'FAILED'],
    ])
    await requireCluster().slurm.restart('slurmdbd')
    expect(await diagnose(next.environment)).toEqual(['ok', 'ok'])
    const accounting = startSteadyCaller(() => read(gateway.port, '/slurmdb/latest/users', makeHeaders()))
    await replaceGateway(next.environment)
    await accounting.waitForCalls(10)
    expect((await accounting.stop()).failures).toEqual({})

    keys.installJwks([next.jwk])
    await keys.readKeysAnew()
    await callers.waitForCalls(10)
    expect(await keys.ask(old, token)).toEqual(keys.habits.refused)
    expect(await callers.stop()).toEqual([{}, {}])
  })

  test('HS256: by way of RS256 no call fails, and the old key is refused afterwards', async () => {
    const between = keys.makeRs256('between')
    const old = keys.useHs256OfSlurm()
    const nextBytes = randomBytes(32)
    const next = keys.useHs256('next.key', nextBytes)
    await replaceGateway(old)
    const callers = await watch()
    keys.installJwks([between.jwk])
    await keys.readKeysAnew()
    await replaceGateway(between.environment)

    keys.installKey(HS256_FILE, nextBytes)
    await keys.readKeysAnew()
    await replaceGateway(next)
    await callers.waitForCalls(10)
    expect(await keys.ask(old, token)).toEqual(keys.habits.refused)
    expect(await callers.stop()).toEqual([{}, {}])
  })

  test('HS256 at once: calls of the gap are 502 slurm_token_refused (22.05: 500), and none of them has happened', async () => {
    const callers = await watch()
    const nextBytes = randomBytes(32)
    await gateway.replace(async () => {
      const next = await requireCluster().startGateway(keys.useHs256('last.key', nextBytes))
      keys.installKey(HS256_FILE, nextBytes)
      await keys.readKeysAnew()
      await callers.waitForCalls(4)
      return next
    })
    await callers.waitForCalls(10)
    for (const failures of await callers.stop()) {
      expect(Object.keys(failures)).not.toEqual([])
      expect(keys.habits.refusedCalls).toEqual(expect.arrayContaining(Object.keys(failures)))
    }
  })
}
