/** A token's row with all that its seal covers, as the database has it and as the seal sees it. */

import { apiTokens } from './schema.ts'
import type { SealedRow } from './row-seal.ts'

/** The columns that a seal covers, and the seal. */
export const SEALED_COLUMNS = {
  id: apiTokens.id,
  digest: apiTokens.digest,
  slurmUser: apiTokens.slurmUser,
  uid: apiTokens.uid,
  account: apiTokens.account,
  scopes: apiTokens.scopes,
  format: apiTokens.format,
  createdAt: apiTokens.createdAt,
  expiresAt: apiTokens.expiresAt,
  revokedAt: apiTokens.revokedAt,
  replacedBy: apiTokens.replacedBy,
  policyVersion: apiTokens.policyVersion,
  sealedAt: apiTokens.sealedAt,
  seal: apiTokens.seal,
} as const

export type StoredRow = Pick<typeof apiTokens.$inferSelect, keyof typeof SEALED_COLUMNS>

/** Postgres keeps microseconds and `Date` milliseconds; a seal, like every decision, is about whole seconds. */
export function readSealedRow(row: StoredRow): SealedRow {
  return {
    id: row.id,
    digest: row.digest,
    slurmUser: row.slurmUser,
    uid: row.uid,
    account: row.account,
    scopes: row.scopes,
    format: row.format,
    createdAt: toSeconds(row.createdAt),
    expiresAt: readSeconds(row.expiresAt),
    revokedAt: readSeconds(row.revokedAt),
    replacedBy: row.replacedBy,
    policyVersion: row.policyVersion,
    sealedAt: readSeconds(row.sealedAt),
    seal: row.seal,
  }
}

/** Unix seconds, rounded down: a token ends early rather than late. */
export function readSeconds(date: Date | null): number | null {
  return date === null ? null : toSeconds(date)
}

function toSeconds(date: Date): number {
  return Math.floor(date.getTime() / 1000)
}
