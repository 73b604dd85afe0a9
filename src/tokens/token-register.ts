/** The operator's view of issued tokens: list, look at. Never reads a digest. */

import { desc, eq } from 'drizzle-orm'
import type { Clock } from '../ports.ts'
import type { Database } from './database.ts'
import { apiTokens } from './schema.ts'

export interface RegisteredToken {
  readonly id: string
  readonly name: string
  readonly slurmUser: string
  readonly scopes: readonly string[]
  readonly account: string | null
  readonly format: string
  readonly createdAt: Date
  readonly expiresAt: Date | null
  readonly revokedAt: Date | null
  readonly issuedBy: string
  /** The token that a rotation issued in its place; null: none. */
  readonly replacedBy: string | null
  /** Of the Slurm user when the token was issued; null: nobody knew it. */
  readonly uid: number | null
  /** When the row was sealed last; null: it has no seal. Says nothing about whether the seal is right. */
  readonly sealedAt: Date | null
  readonly policyVersion: number
}

export type TokenState = 'active' | 'expired' | 'revoked'

/** Every column but the digest. */
const COLUMNS = {
  id: apiTokens.id,
  name: apiTokens.name,
  slurmUser: apiTokens.slurmUser,
  scopes: apiTokens.scopes,
  account: apiTokens.account,
  format: apiTokens.format,
  createdAt: apiTokens.createdAt,
  expiresAt: apiTokens.expiresAt,
  revokedAt: apiTokens.revokedAt,
  issuedBy: apiTokens.issuedBy,
  replacedBy: apiTokens.replacedBy,
  uid: apiTokens.uid,
  sealedAt: apiTokens.sealedAt,
  policyVersion: apiTokens.policyVersion,
} as const

/** Newest first. */
export async function listTokens(db: Database): Promise<readonly RegisteredToken[]> {
  return await db.query((drizzle) =>
    drizzle.select(COLUMNS).from(apiTokens).orderBy(desc(apiTokens.createdAt), apiTokens.id),
  )
}

/** @returns null: no such token. */
export async function findToken(db: Database, id: string): Promise<RegisteredToken | null> {
  const [row] = await db.query((drizzle) =>
    drizzle.select(COLUMNS).from(apiTokens).where(eq(apiTokens.id, id)),
  )
  return row ?? null
}

export function readTokenState(token: RegisteredToken, clock: Clock): TokenState {
  if (token.revokedAt !== null) return 'revoked'
  return token.expiresAt !== null && token.expiresAt.getTime() <= clock() ? 'expired' : 'active'
}
