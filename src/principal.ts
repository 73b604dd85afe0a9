/** Whom a credential proved the caller to be. Built by the authenticators only. */

import type { Secret } from './secret.ts'
import type { SlurmToken } from './slurm-token.ts'

/** Scopes of the first row are always open to tokens, those of the second with `ADMIN_SCOPES=on`. */
export const PUBLIC_SCOPES = ['slurm:read', 'slurmdb:read', 'slurm:jobs:manage'] as const
export const ADMIN_SCOPES = [
  'slurm:nodes:manage',
  'slurm:partitions:manage',
  'slurm:reservations:manage',
  'slurm:reconfigure',
  'slurmdb:manage',
] as const

export type Scope = (typeof PUBLIC_SCOPES)[number] | (typeof ADMIN_SCOPES)[number]

/** @param deniedUsers lower case. */
export function isDeniedUser(deniedUsers: ReadonlySet<string>, user: string): boolean {
  return deniedUsers.has(user.toLowerCase())
}

/** A caller on the cluster: may do whatever the user may in Slurm. */
export interface MungePrincipal {
  readonly method: 'munge'
  readonly slurmUser: string
  readonly uid: number
  /** Of the one request the credential was made for; null: for any. Compared before anything else is decided. */
  readonly boundDigest: string | null
  /** Signed by the verifier for this very credential; null: the gateway signs itself. */
  readonly slurmToken: SlurmToken | null
}

/** An API token: acts as its Slurm user, within its scopes and account. */
export interface TokenPrincipal {
  readonly method: 'token'
  readonly slurmUser: string
  readonly tokenId: string
  readonly tokenName: string
  readonly scopes: ReadonlySet<Scope>
  /** The one Slurm account writes may target, lower case as Slurm compares it; null: not restricted. */
  readonly account: string | null
  /** Unix time in seconds; null: never. */
  readonly expiresAt: number | null
  /** The Slurm user's when the token was issued; null: nobody knew it. */
  readonly uid: number | null
  /** Of the row, as its issuer wrote it. */
  readonly policyVersion: number
  /** What was presented, for a signer that asks for it; null: nobody did, as where a token is only explained. */
  readonly presented: Secret | null
}

/** An API token that may write to jobs of one account only. */
export type RestrictedToken = TokenPrincipal & { readonly account: string }

export type Principal = MungePrincipal | TokenPrincipal

export function isRestricted(principal: Principal): principal is RestrictedToken {
  return principal.method === 'token' && principal.account !== null
}

/** Who shares what there is to share: a Slurm user by MUNGE, from whatever host; or one API token, whoever else acts as its user. */
export function nameCaller(principal: Principal): string {
  return principal.method === 'munge' ? `munge ${principal.slurmUser}` : `token ${principal.tokenId}`
}
