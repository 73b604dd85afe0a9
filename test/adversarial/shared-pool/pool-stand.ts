/**
 * What the callers of one pool stand on: a real Slurm 26.05 that shows nobody another one's jobs, Postgres with their
 * tokens, and gateways before it, on either runtime.
 */

import { appendFileSync, chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startCluster, type Cluster } from '../../../functions/up/cluster.ts'
import { startMunged } from '../../../functions/up/munged.ts'
import type { StartTarget, Target } from '../../support/gateway-target.ts'
import { startTestPostgres } from '../../support/postgres.ts'
import { runProgram, waitUntil } from '../../support/program.ts'
import { requestRaw } from '../../support/raw-http.ts'
import { CLI_PATH, type Environment } from '../../support/surroundings.ts'
import { buildUsers, makeIdentities, type Identity } from './identities.ts'
import { PoolRelay } from './pool-relay.ts'

export interface PoolStand {
  readonly identities: readonly Identity[]
  readonly slurmKey: Uint8Array
  startGateway(start: StartTarget, environment: Environment): Promise<PoolGateway>
  stop(): Promise<void>
}

export interface PoolGateway {
  readonly target: Target
  /** Between its pool and slurmrestd. */
  readonly relay: PoolRelay
  readonly stop: () => Promise<void>
}

/** @throws in words where the Debian root or the cluster cannot be built. */
export async function startPoolStand(): Promise<PoolStand> {
  const directory = mkdtempSync(join(tmpdir(), 'slurmgate-pool-'))
  chmodSync(directory, 0o755)
  const undo: (() => Promise<unknown>)[] = []
  const stop = async (): Promise<void> => {
    for (const step of undo.reverse()) await step()
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    const munged = await startMunged({
      socket: join(directory, 'munge/munge.socket.2'),
      keyFile: join(directory, 'keys/munge.key'),
      dir: join(directory, 'munge'),
    })
    undo.push(() => munged.stop())
    const [cluster, postgres] = await Promise.all([startPrivateCluster(munged.socket), startTestPostgres()])
    undo.push(
      () => postgres.stop(),
      () => cluster.stop(),
    )
    await runProgram(process.execPath, [CLI_PATH, 'db', 'migrate'], {
      environment: { DATABASE_URL: postgres.url },
      timeoutMilliseconds: 120_000,
    })
    const slurmKey = readFileSync(cluster.hs256KeyFile)
    return {
      slurmKey,
      identities: await makeIdentities(cluster, slurmKey, postgres.url),
      startGateway: (start, environment) =>
        startGateway(start, cluster.ports.slurmrestd, {
          DATABASE_URL: postgres.url,
          SLURM_JWT_HS256_KEY: slurmKey.toString('base64'),
          SLURM_KEY_AT_EDGE: 'accept-cluster-root',
          MUNGE_MODE: 'off',
          LOG_LEVEL: 'warn',
          ...environment,
        }),
      stop,
    }
  } catch (cause) {
    await stop()
    throw cause
  }
}

async function startPrivateCluster(mungeSocket: string): Promise<Cluster> {
  const cluster = await startCluster({
    instance: 'pool26',
    suite: 'forky',
    mungeSocket,
    fresh: true,
    users: buildUsers(),
    onProgress: (line) => process.stderr.write(`  pool26: ${line}\n`),
  })
  try {
    appendFileSync(join(cluster.instanceDir, 'config/slurm/slurm.conf'), 'PrivateData=jobs\n')
    appendFileSync(
      join(cluster.instanceDir, 'config/slurm/slurmdbd.conf'),
      'PrivateData=jobs,users,accounts\n',
    )
    await cluster.restart('slurmdbd')
    await cluster.restart('slurmctld')
    return cluster
  } catch (cause) {
    await cluster.stop()
    throw cause
  }
}

async function startGateway(
  start: StartTarget,
  slurmrestdPort: number,
  environment: Environment,
): Promise<PoolGateway> {
  const relay = await PoolRelay.start(slurmrestdPort)
  try {
    const target = await start({ ...environment, SLURMRESTD_URL: `http://127.0.0.1:${String(relay.port)}` })
    await waitUntil('the gateway knows the versions', () => knowsVersions(target))
    relay.reset()
    const stop = async (): Promise<void> => {
      await target.stop()
      await relay.stop()
    }
    return { target, relay, stop }
  } catch (cause) {
    await relay.stop()
    throw cause
  }
}

/** It asks for them when it is first asked, beside the slots. */
async function knowsVersions(target: Target): Promise<boolean> {
  const { status } = await requestRaw(target, { method: 'GET', target: '/meta/versions/latest' })
  return status === 200
}
