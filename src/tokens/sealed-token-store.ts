/**
 * Looks API tokens up by their digest together with all that a row's seal covers, for whoever believes sealed rows only.
 * Judges no seal: `findSealProblem` does.
 */

import { eq, sql } from 'drizzle-orm'
import { Outage } from '../refusal.ts'
import type { TokenRecord } from '../ports.ts'
import type { Database, Drizzle } from './database.ts'
import { prepareOnce } from './prepare-once.ts'
import type { SealedRow } from './row-seal.ts'
import { apiTokens } from './schema.ts'
import { readSealedRow, SEALED_COLUMNS } from './stored-row.ts'
import { orOutage } from './token-store.ts'

/** A record, and its row as the seal sees it. */
export type SealedTokenRecord = TokenRecord & SealedRow

export interface SealedTokenStore {
  /**
   * One indexed probe, nothing kept. The row may be any row that has this digest, forged or altered.
   * @param digest SHA-256 of the presented token.
   * @returns null: no such token.
   * @throws Outage `token_store_unavailable`, also where the database answers with the row of another token.
   */
  findSealedByDigest(digest: Uint8Array): Promise<SealedTokenRecord | null>
}

export function createSealedTokenStore(db: Database): SealedTokenStore {
  const findProbe = prepareOnce(prepareProbe)

  const probe = async (digest: Uint8Array): Promise<SealedTokenRecord | null> => {
    const [row] = await db.query((drizzle) => findProbe(drizzle).execute({ digest }))
    return row === undefined ? null : { ...readSealedRow(row), name: row.name }
  }

  return {
    async findSealedByDigest(digest) {
      const record = await orOutage(probe(digest))
      // A row of somebody else's token may well be intact: its seal says whose it is, not what was asked for.
      if (record !== null && !isSame(record.digest, digest)) {
        throw new Outage('token_store_unavailable', 'the database answered with the row of another token')
      }
      return record
    },
  }
}

function prepareProbe(drizzle: Drizzle) {
  return drizzle
    .select({ ...SEALED_COLUMNS, name: apiTokens.name })
    .from(apiTokens)
    .where(eq(apiTokens.digest, sql.placeholder('digest')))
    .limit(1)
    .prepare('find_sealed_token_by_digest')
}

/** Both are known to who asks: nothing to be guessed from the time it takes. */
function isSame(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, index) => byte === right[index])
}
