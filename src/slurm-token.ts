/**
 * Mints the short Slurm tokens that slurmrestd is called with: one user each, never for a denied user. Whoever holds
 * the key is root on the cluster, so the key stays inside this closure.
 */

import { importJWK, SignJWT, type CryptoKey, type JWK } from 'jose'
import { createBoundedMap } from './bounded-map.ts'
import { SLURM_TOKENS_KEPT } from './limits.ts'
import type { Clock } from './ports.ts'
import { isDeniedUser, type Principal } from './principal.ts'
import { Outage, type Refusal } from './refusal.ts'

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

/** A signed Slurm token. */
export interface SlurmToken {
  readonly token: string
  /** Unix seconds, whole. */
  readonly issuedAt: number
  /** Unix seconds up to which it may be used: half of its life. */
  readonly useUntil: number
}

/** One on its way from who signed it to who asked: `token` is encrypted. */
export interface SealedSlurmToken extends SlurmToken {
  /** SHA-256 of `token` as it is here, lower-case hex. */
  readonly digest: string
}

/** Whom a call is made as, where the key is at hand: no proof is asked for. */
export interface NamedUser {
  readonly slurmUser: string
}

/** Where the tokens that slurmrestd is called with come from. */
export interface SlurmTokenSource<Actor extends NamedUser = Principal> {
  /**
   * Whether whoever signs agrees to this principal: asked once it is authenticated; answered at once where its answer is kept.
   * null: this process signs, and does.
   * @throws Outage of whoever signs.
   */
  readonly confirm: ((actor: Actor) => Refusal | null | Promise<Refusal | null>) | null
  /**
   * @returns a token for exactly this principal's user with at least half its life left; at once where one is kept.
   * @throws Outage `internal_error` for a denied user: authentication lets none through; those of whoever signs.
   */
  findToken(actor: Actor): string | Promise<string>
}

/** Signs Slurm tokens with a key of this process, and keeps them for use again. */
export interface SlurmTokenMinter {
  /**
   * @returns a token for exactly this user with at least half its life left.
   * @throws Outage `internal_error` for a denied user.
   */
  mint(slurmUser: string): Promise<SlurmToken>
  /** @returns the same where one is kept; else null. */
  find(slurmUser: string): SlurmToken | null
}

export interface SlurmTokenOptions {
  readonly key: SlurmKey
  readonly lifespanSeconds: number
  readonly deniedUsers: ReadonlySet<string>
  readonly now: Clock
  /** So long before its time is over a token is not handed out any more. Default 0: it is used at once. */
  readonly spareSeconds?: number
}

/** The source of a gateway that has the key itself. */
export function createSlurmTokenSource(options: SlurmTokenOptions): SlurmTokenSource<NamedUser> {
  const minter = createSlurmTokenMinter(options)
  return {
    confirm: null,
    findToken: ({ slurmUser }) =>
      minter.find(slurmUser)?.token ?? minter.mint(slurmUser).then(({ token }) => token),
  }
}

export function createSlurmTokenMinter(options: SlurmTokenOptions): SlurmTokenMinter {
  const { key, lifespanSeconds, deniedUsers, now, spareSeconds = 0 } = options
  const kept = createBoundedMap<string, SlurmToken>(SLURM_TOKENS_KEPT)
  let signingKey: CryptoKey | Uint8Array | null = null

  async function sign(slurmUser: string, issuedAt: number): Promise<string> {
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

  /** Only who is not denied gets one into `kept`. */
  function find(slurmUser: string): SlurmToken | null {
    const found = kept.get(slurmUser)
    if (found === undefined) return null
    const exactSeconds = now() / 1000
    return isUsable(found, exactSeconds) && exactSeconds + spareSeconds <= found.useUntil ? found : null
  }

  return {
    find,
    async mint(slurmUser) {
      if (isDeniedUser(deniedUsers, slurmUser))
        throw new Outage('internal_error', 'a denied user reached the minting of tokens')
      const found = find(slurmUser)
      if (found !== null) return found
      const issuedAt = Math.floor(now() / 1000)
      const token = await sign(slurmUser, issuedAt)
      const minted = { token, issuedAt, useUntil: issuedAt + Math.floor(lifespanSeconds / 2) }
      kept.set(slurmUser, minted)
      return minted
    },
  }
}

/** A clock that was set back would stretch a token's life. @param exactSeconds Unix time. */
export function isUsable({ issuedAt, useUntil }: SlurmToken, exactSeconds: number): boolean {
  return issuedAt <= Math.floor(exactSeconds) && exactSeconds <= useUntil
}
