/** Ends a token for good. Nothing about a row keeps it from being revoked: a broken seal opens nothing to anybody. */

import { eq } from 'drizzle-orm'
import type { Database } from './database.ts'
import { apiTokens } from './schema.ts'
import {
  findChangeProblem,
  lockRow,
  writeSealedChange,
  type ChangeProblem,
  type SealPorts,
} from './seal-keeping.ts'

export interface Revocation {
  readonly outcome: 'revoked' | 'revoked-before' | 'unknown'
  /** Why the row has no seal that fits now; null: it has one, or needs none. */
  readonly sealProblem: ChangeProblem | null
}

/**
 * Ends a token from the next look-up on. A token that was revoked before keeps its first date. A seal that was not right
 * is left as it is: a new one would hide what somebody did to the row.
 */
export async function revokeToken(db: Database, id: string, ports: SealPorts): Promise<Revocation> {
  return await db.query((drizzle) =>
    drizzle.transaction(async (transaction): Promise<Revocation> => {
      const row = await lockRow(transaction, id)
      if (row === null) return { outcome: 'unknown', sealProblem: null }
      if (row.revokedAt !== null) return { outcome: 'revoked-before', sealProblem: null }
      const sealProblem = await findChangeProblem(row, ports.seals)
      const change = { revokedAt: new Date(ports.clock()) }
      if (sealProblem === null) await writeSealedChange(transaction, row, change, ports)
      else await transaction.update(apiTokens).set(change).where(eq(apiTokens.id, id))
      return { outcome: 'revoked', sealProblem }
    }),
  )
}
