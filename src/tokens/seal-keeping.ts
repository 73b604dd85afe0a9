/**
 * Keeps the seal of a row true while a command changes the row. What is sealed is what was verified and what the command
 * itself says, never what the database echoes: a trigger could have put another user in between.
 */

import { eq } from 'drizzle-orm'
import type { Clock } from '../ports.ts'
import type { Drizzle } from './database.ts'
import { findSealProblem, sealRow, type SealProblem, type SealRules } from './row-seal.ts'
import { apiTokens } from './schema.ts'
import { readSealedRow, type StoredRow } from './stored-row.ts'

export type Transaction = Parameters<Parameters<Drizzle['transaction']>[0]>[0]
export type TokenRow = typeof apiTokens.$inferSelect

export interface SealPorts {
  readonly clock: Clock
  /** null: there is no key here, and rows are written without a seal. */
  readonly seals: SealRules | null
}

/** `key_missing`: the row is sealed, and there is no key here. */
export type ChangeProblem = SealProblem | 'key_missing'

/** Locks the row until the end of the transaction. @returns null: no such token. */
export async function lockRow(transaction: Transaction, id: string): Promise<TokenRow | null> {
  const [row] = await transaction.select().from(apiTokens).where(eq(apiTokens.id, id)).for('update')
  return row?.id === id ? row : null
}

/** @returns why a change of this row may not be sealed; null: it may, or there is nothing to seal. */
export async function findChangeProblem(
  row: StoredRow,
  seals: SealRules | null,
): Promise<ChangeProblem | null> {
  if (seals === null) return row.seal === null ? null : 'key_missing'
  return await findSealProblem(readSealedRow(row), seals)
}

/** @returns the row with a seal of now, or as it is where there is no key here. */
export async function withSeal<Row extends StoredRow>(row: Row, { clock, seals }: SealPorts): Promise<Row> {
  if (seals === null) return row
  const sealedAt = new Date(Math.floor(clock() / 1000) * 1000)
  return { ...row, sealedAt, seal: await sealRow(readSealedRow({ ...row, sealedAt }), seals.keys) }
}

/**
 * Writes a change into a locked row, together with the seal that fits.
 * @param row for which `findChangeProblem` found nothing.
 */
export async function writeSealedChange(
  transaction: Transaction,
  row: TokenRow,
  change: Partial<Pick<TokenRow, 'expiresAt' | 'revokedAt' | 'replacedBy'>>,
  ports: SealPorts,
): Promise<void> {
  const { sealedAt, seal } = await withSeal({ ...row, ...change }, ports)
  await transaction
    .update(apiTokens)
    .set({ ...change, sealedAt, seal })
    .where(eq(apiTokens.id, row.id))
}
