/** What an operator gives a signer, a gateway without a key and an issuer, so that they fit together. */

import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createLogin } from '../support/login-role.ts'
import { runProgram } from '../support/program.ts'
import { CLI_PATH } from '../support/surroundings.ts'
import type { RealCluster } from './real-cluster.ts'

type Values = Readonly<Record<string, string>>

export interface Signing {
  /** With Slurm's HS256 key. */
  readonly signer: Values
  /** All its secrets, but not where the signer is: `MUNGE_VERIFIER_URL`. */
  readonly gateway: Values
  readonly issuer: Values
}

/** What a gateway of the cluster has otherwise, and one without a key must not. */
export const NO_KEY = { SLURM_JWT_HS256_KEY_FILE: undefined, MUNGE_SOCKET: undefined } as const

/** Each with a database login of its own role. @param directory where key files go. */
export async function prepareSigning(cluster: RealCluster, directory: string): Promise<Signing> {
  const { databaseUrl, munged, slurm } = cluster
  const run = (parameters: readonly string[], environment: Values = {}): Promise<string> =>
    runProgram(process.execPath, [CLI_PATH, ...parameters], { environment })
  await run(['db', 'grants', '--apply'], { DATABASE_URL: databaseUrl })
  const gate = await createLogin(databaseUrl, { memberOf: ['slurmgate_gateway'] })
  const staff = await createLogin(databaseUrl, { memberOf: ['slurmgate_issuer'] })
  const TOKEN_KEY_FILE = join(directory, 'token.key')
  writeFileSync(TOKEN_KEY_FILE, randomBytes(32).toString('base64'), { mode: 0o600 })
  const SIGNER_PRIVATE_KEY_FILE = join(directory, 'signer.jwk')
  const publicKey = await run(['signer-key', 'new', SIGNER_PRIVATE_KEY_FILE])
  const shared = { DATABASE_URL: gate.url, MUNGE_VERIFIER_KEY: randomBytes(32).toString('base64') }
  return {
    signer: {
      ...shared,
      MUNGE_SOCKET: munged.socket,
      VERIFIER_SIGNS: 'yes',
      SLURM_JWT_HS256_KEY_FILE: slurm.hs256KeyFile,
      SIGNER_PRIVATE_KEY_FILE,
      TOKEN_KEY_FILE,
    },
    gateway: { ...shared, SLURM_TOKEN_SIGNER: 'verifier', SIGNER_PUBLIC_KEY: publicKey.trim() },
    issuer: { DATABASE_URL: staff.url, TOKEN_KEY_FILE },
  }
}
