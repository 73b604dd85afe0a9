/**
 * Slurm's keys are exchanged on 22.05 and 26.05 too, each a cluster of its own; cluster.test.ts does it on 24.11. What a signer signed
 * has to be used up each time, which takes most of the time: so 22.05 is spared the signer, and 26.05 what happens too early.
 */

import { afterAll, beforeAll, describe } from 'vitest'
import { findSlurmObstacle } from '../support/slurm-obstacle.ts'
import { startRealCluster, type RealCluster, type RealClusterOptions } from './real-cluster.ts'
import { describeSignerSideRotation } from './suites/rotation-at-signer.ts'
import { describeSlurmKeyRotation } from './suites/rotation-slurm-keys.ts'

const OLD: RealClusterOptions = { suite: 'bookworm', instance: 'rotation22' }
const NEW: RealClusterOptions = { suite: 'forky', instance: 'rotation26' }

const missing = await findSlurmObstacle(NEW.suite)
const clusters = new Map<RealClusterOptions, RealCluster>()

beforeAll(async () => {
  const wanted = missing === null ? [OLD, NEW] : [OLD]
  await Promise.all(wanted.map(async (options) => clusters.set(options, await startRealCluster(options))))
})
afterAll(async () => {
  await Promise.all([...clusters.values()].map((cluster) => cluster.stop()))
})

function requireCluster(options: RealClusterOptions): () => RealCluster {
  return () => {
    const cluster = clusters.get(options)
    if (cluster === undefined) throw new Error(`the cluster ${options.instance} did not start`)
    return cluster
  }
}

describe('Slurm 22.05: rotation of its keys', () => describeSlurmKeyRotation(requireCluster(OLD)))

const reason =
  missing === null
    ? ''
    : ` (NOT TRIED, its packages do not install today: ${missing.split('\n').at(-1) ?? ''})`
describe.skipIf(missing !== null)(`Slurm 26.05${reason}`, () => {
  describe('rotation of its keys', () => describeSlurmKeyRotation(requireCluster(NEW)))
  describe('rotation of its keys at the signer', () =>
    describeSignerSideRotation(requireCluster(NEW), { isHasteTried: false }))
})
