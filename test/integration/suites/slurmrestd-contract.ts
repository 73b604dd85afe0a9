/** The fake slurmrestd of the conformance tests claims nothing that the real one does not do. */

import { readFileSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { test } from 'vitest'
import { SLURMRESTD_CONTRACT, type ContractSubject } from '../../slurmrestd-contract/cases.ts'
import { signSlurmJwt } from '../../support/slurm-jwt.ts'
import { ALICE, type RealCluster } from '../real-cluster.ts'

const RELEASE = '24.11'

export function describeSlurmrestdContract(requireCluster: () => RealCluster): void {
  for (const contractCase of SLURMRESTD_CONTRACT) {
    if (contractCase.notOn?.includes(RELEASE) === true) continue
    test(`${contractCase.name} (slurm.md, "${contractCase.source}")`, () =>
      contractCase.run(buildSubject(requireCluster())))
  }
}

function buildSubject({ slurm }: RealCluster): ContractSubject {
  const key = readFileSync(slurm.hs256KeyFile)
  return {
    address: { host: '127.0.0.1', port: slurm.ports.slurmrestd },
    version: 'v0.0.42',
    release: RELEASE,
    user: ALICE.name,
    mintToken({ expired = false, wrongKey = false } = {}) {
      const now = Math.floor(Date.now() / 1000)
      const exp = expired ? now - 60 : now + 60
      return signSlurmJwt(wrongKey ? randomBytes(32) : key, { sun: ALICE.name, iat: now - 120, exp })
    },
  }
}
