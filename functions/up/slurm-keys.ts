/**
 * Makes the keys with which Slurm tokens are signed: Slurm's HS256 key and an RS256 pair, the private half of which never
 * enters the cluster's root. Who reads either private file is root on the cluster.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface SlurmKeys {
  /** The bytes of Slurm's `jwt_key`, mode 0600. */
  hs256KeyFile: string
  /** A private RSA JWK with `kid`, mode 0600. */
  rs256JwkFile: string
  /** The public half for Slurm's `jwks`. */
  jwksFile: string
}

/** Makes the three files in `dir` unless they are all there. */
export async function ensureSlurmKeys(dir: string): Promise<SlurmKeys> {
  const keys: SlurmKeys = {
    hs256KeyFile: join(dir, 'jwt_hs256.key'),
    rs256JwkFile: join(dir, 'jwt_rs256.private.jwk.json'),
    jwksFile: join(dir, 'jwks.json'),
  }
  if (Object.values(keys).every((path: string) => existsSync(path))) return keys
  await mkdir(dir, { recursive: true, mode: 0o700 })
  await chmod(dir, 0o700)
  const kid = `slurmgate-${randomBytes(6).toString('hex')}`
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const names = { alg: 'RS256', kid }
  await writeFile(keys.hs256KeyFile, randomBytes(32), { mode: 0o600 })
  await writeFile(keys.rs256JwkFile, JSON.stringify({ ...privateKey.export({ format: 'jwk' }), ...names }), {
    mode: 0o600,
  })
  const publicJwk = { ...publicKey.export({ format: 'jwk' }), ...names }
  await writeFile(keys.jwksFile, JSON.stringify({ keys: [publicJwk] }), { mode: 0o644 })
  return keys
}
