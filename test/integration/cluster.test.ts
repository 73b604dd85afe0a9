/** Everything that only a real Slurm and a real munged can prove. One cluster for all suites; each states its part. */

import { afterAll, beforeAll, describe } from 'vitest'
import { startRealCluster, type RealCluster } from './real-cluster.ts'
import { describeConfinement } from './suites/confinement.ts'
import { describeFailures } from './suites/failures.ts'
import { describeGivenSlurm } from './suites/given-slurm.ts'
import { describeIssueLookUp } from './suites/issue-look-up.ts'
import { describeMunge } from './suites/munge.ts'
import { describeOpenApi } from './suites/openapi.ts'
import { describePublishedExamples } from './suites/published-examples.ts'
import { describeSignerSideRotation } from './suites/rotation-at-signer.ts'
import { describeOwnKeyRotation } from './suites/rotation-own-keys.ts'
import { describeSlurmKeyRotation } from './suites/rotation-slurm-keys.ts'
import { describeSigner } from './suites/signer.ts'
import { describeSlurmTokens } from './suites/slurm-tokens.ts'
import { describeYaml } from './suites/yaml.ts'
import { describeSlurmrestdContract } from './suites/slurmrestd-contract.ts'

let cluster: RealCluster | null = null

beforeAll(async () => {
  cluster = await startRealCluster()
})

afterAll(async () => {
  await cluster?.stop()
})

function requireCluster(): RealCluster {
  if (cluster === null) throw new Error('the cluster did not start')
  return cluster
}

describe('Slurm tokens', () => describeSlurmTokens(requireCluster))
describe('the published examples', () => describePublishedExamples(requireCluster))
describe('MUNGE credentials', () => describeMunge(requireCluster))
describe('YAML of MUNGE callers', () => describeYaml(requireCluster))
describe('a gateway without a key', () => describeSigner(requireCluster))
describe('rotation of Slurm’s keys', () => describeSlurmKeyRotation(requireCluster))
describe('rotation of Slurm’s keys at the signer', () => describeSignerSideRotation(requireCluster))
describe('rotation of the gate’s own keys', () => describeOwnKeyRotation(requireCluster))
describe('account confinement', () => describeConfinement(requireCluster))
describe('the OpenAPI document', () => describeOpenApi(requireCluster))
describe('what the fake slurmrestd claims', () => describeSlurmrestdContract(requireCluster))
describe('npm run up with a given Slurm', () => describeGivenSlurm(requireCluster))
describe('the look-up of token issue', () => describeIssueLookUp(requireCluster))
describe('failures', () => describeFailures(requireCluster))
