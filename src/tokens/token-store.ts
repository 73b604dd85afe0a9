/**
 * Looks API tokens up by their digest: one indexed probe for each request, nothing kept, so that a revocation holds
 * from the next request on. Knows no token and decides nothing.
 */

import { eq, sql } from 'drizzle-orm'
import { Outage } from '../refusal.ts'
import type { TokenRecord, TokenStore } from '../ports.ts'
import { buildSchemaMisfit, describeDatabaseError } from './database-error.ts'
import type { Database, Drizzle } from './database.ts'
import { apiTokens, REQUIRED_MIGRATION } from './schema.ts'
import { readSeconds } from './stored-row.ts'

/** The columns a decision on a request needs: what the gateway's database role may read. */
export const RECORD_COLUMNS = {
  id: apiTokens.id,
  name: apiTokens.name,
  slurmUser: apiTokens.slurmUser,
  scopes: apiTokens.scopes,
  account: apiTokens.account,
  expiresAt: apiTokens.expiresAt,
  revokedAt: apiTokens.revokedAt,
  uid: apiTokens.uid,
  policyVersion: apiTokens.policyVersion,
} as const

const DIGEST_LENGTH = 32

export function createTokenStore(db: Database): TokenStore {
  const prepared = new WeakMap<Drizzle, ReturnType<typeof prepareProbe>>()

  const probe = async (digest: Uint8Array): Promise<TokenRecord | null> => {
    const rows = await db.query((drizzle) => {
      let statement = prepared.get(drizzle)
      if (statement === undefined) prepared.set(drizzle, (statement = prepareProbe(drizzle)))
      return statement.execute({ digest })
    })
    const [row] = rows
    if (row === undefined) return null
    return { ...row, expiresAt: readSeconds(row.expiresAt), revokedAt: readSeconds(row.revokedAt) }
  }

  return {
    async findByDigest(digest) {
      return await orOutage(probe(digest))
    },
    async check() {
      await orOutage(requireSchema(db))
      await orOutage(probe(new Uint8Array(DIGEST_LENGTH)))
    },
  }
}

/**
 * @throws SchemaMisfit when the newest migration this code needs was not applied; what the driver throws.
 */
export async function requireSchema(db: Database): Promise<void> {
  // Where drizzle-orm's migrator keeps its book.
  const applied = await db.query((drizzle) =>
    drizzle.execute(
      sql`select 1 from drizzle.__drizzle_migrations where created_at = ${REQUIRED_MIGRATION.when}::bigint`,
    ),
  )
  if (applied.length === 0) throw buildSchemaMisfit(REQUIRED_MIGRATION.tag)
}

function prepareProbe(drizzle: Drizzle) {
  return drizzle
    .select(RECORD_COLUMNS)
    .from(apiTokens)
    .where(eq(apiTokens.digest, sql.placeholder('digest')))
    .limit(1)
    .prepare('find_token_by_digest')
}

/** @throws Outage `token_store_unavailable` for whatever the driver throws. */
export async function orOutage<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw new Outage('token_store_unavailable', describeDatabaseError(error))
  }
}
