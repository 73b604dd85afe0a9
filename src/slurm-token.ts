/**
 * Mints the short Slurm tokens that slurmrestd is called with: one user each, never for a denied user. Whoever holds
 * the key is root on the cluster, so the key stays inside this closure.
 */

import { importJWK, SignJWT, type CryptoKey, type JWK } from 'jose'
import { SLURM_TOKENS_KEPT } from './limits.ts'
import type { Clock } from './ports.ts'
import { isDeniedUser } from './principal.ts'
import { Outage } from './refusal.ts'

/** HS256: the bytes of `jwt_hs256.key`. RS256: a private JWK whose `kid` stands in Slurm's JWKS file. */
export type SlurmKey =
  | { readonly algorithm: 'HS256'; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly algorithm: 'RS256'; readonly jwk: JWK; readonly keyId: string }

/** @returns whether tokens can be signed with it at all: a JWK may look whole and not be a key. */
export async function isUsableKey(key: SlurmKey): Promise<boolean> {
  if (key.algorithm === 'HS256') return true
  try {
    await new SignJWT({}).setProtectedHeader({ alg: 'RS256' }).sign(await importJWK(key.jwk, 'RS256'))
    return true
  } catch {
    return false
  }
}

export interface SlurmTokenSource {
  /**
   * @returns a token for exactly this user with at least half its life left.
   * @throws Outage `internal_error` for a denied user: authentication lets none through.
   */
  findToken(slurmUser: string): Promise<string>
}

export interface SlurmTokenOptions {
  readonly key: SlurmKey
  readonly lifespanSeconds: number
  readonly deniedUsers: ReadonlySet<string>
  readonly now: Clock
}

export function createSlurmTokenSource(options: SlurmTokenOptions): SlurmTokenSource {
  const { key, lifespanSeconds, deniedUsers, now } = options
  const kept = new Map<string, { token: string; issuedAt: number; useUntil: number }>()
  let signingKey: CryptoKey | Uint8Array | null = null

  async function mint(slurmUser: string, issuedAt: number): Promise<string> {
    const signWith = signingKey ?? (key.algorithm === 'HS256' ? key.bytes : await importJWK(key.jwk, 'RS256'))
    signingKey = signWith
    // Slurm reads `sun` and `exp`, takes integers only and allows no leeway (measured).
    return new SignJWT({ sun: slurmUser })
      .setProtectedHeader(
        key.algorithm === 'HS256'
          ? { alg: 'HS256', typ: 'JWT' }
          : { alg: 'RS256', typ: 'JWT', kid: key.keyId },
      )
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + lifespanSeconds)
      .sign(signWith)
  }

  return {
    async findToken(slurmUser) {
      if (isDeniedUser(deniedUsers, slurmUser))
        throw new Outage('internal_error', 'a denied user reached the minting of tokens')
      const exactSeconds = now() / 1000
      const nowSeconds = Math.floor(exactSeconds)
      const found = kept.get(slurmUser)
      // A clock that was set back would stretch a token's life.
      const isUsable = found !== undefined && found.issuedAt <= nowSeconds && exactSeconds <= found.useUntil
      if (isUsable) return found.token
      const token = await mint(slurmUser, nowSeconds)
      if (kept.size >= SLURM_TOKENS_KEPT) kept.clear()
      kept.set(slurmUser, {
        token,
        issuedAt: nowSeconds,
        useUntil: nowSeconds + Math.floor(lifespanSeconds / 2),
      })
      return token
    },
  }
}
