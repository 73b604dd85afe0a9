/** A verifier that signs, beside what is measured, for a gateway without Slurm's key. */

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { findFreePort } from '../support/free-port.ts'
import { CLI_PATH } from '../support/surroundings.ts'
import type { GateStand } from './gate-stand.ts'

/** @returns what a gateway without a key is told. */
export async function startSigner(stand: GateStand): Promise<Readonly<Record<string, string>>> {
  const port = await findFreePort()
  const verifierKey = randomBytes(32).toString('base64')
  const keyFile = join(stand.directory, 'signer.jwk')
  const publicKey = await stand.runCli(['signer-key', 'new', keyFile])
  await stand.startServer('verifier', [process.execPath, CLI_PATH, 'verifier'], port, {
    where: 'beside',
    environment: {
      MUNGE_SOCKET: stand.munged.socket,
      MUNGE_VERIFIER_KEY: verifierKey,
      VERIFIER_PORT: String(port),
      VERIFIER_SIGNS: 'yes',
      DATABASE_URL: stand.databaseUrl,
      SLURM_JWT_HS256_KEY_FILE: stand.slurmKeyFile,
      SIGNER_PRIVATE_KEY_FILE: keyFile,
      TOKEN_KEY_FILE: stand.tokenKeyFile,
    },
  })
  return {
    SLURM_TOKEN_SIGNER: 'verifier',
    SIGNER_PUBLIC_KEY: publicKey.trim(),
    MUNGE_VERIFIER_URL: `http://127.0.0.1:${String(port)}`,
    MUNGE_VERIFIER_KEY: verifierKey,
  }
}
