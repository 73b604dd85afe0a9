/**
 * Looks API tokens up by their digest: one indexed probe for each look-up, nothing kept here: how long an
 * answer counts is `warm-tokens.ts`'s. Knows no token and decides nothing.
 */

import { eq, sql } from 'drizzle-orm'
import { Outage } from '../refusal.ts'
import type { TokenRecord, TokenStore } from '../ports.ts'
import { createCacheWatch, DATABASE_TIME, type DatedAnswer, type WatchForCache } from './cache-watch.ts'
import { buildSchemaMisfit, describeDatabaseError } from './database-error.ts'
import type { Database, Drizzle } from './database.ts'
import { prepareOnce } from './prepare-once.ts'
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

export interface TokenStoreOptions {
  /**
   * On Workers, where Hyperdrive may stand in between: refuses answers that a cache made. Not on Node: databases whose
   * clocks differ may answer there in turn.
   */
  readonly isCacheSuspected?: boolean
}

export function createTokenStore(db: Database, options: TokenStoreOptions = {}): TokenStore {
  const createWatch = options.isCacheSuspected === true ? createCacheWatch : () => believeAll
  const watchForCache = createWatch()
  const findProbe = prepareOnce(prepareProbe)

  const probe = async (digest: Uint8Array): Promise<DatedRecord> => {
    const [row] = await db.query((drizzle) => findProbe(drizzle).execute({ digest }))
    // There is a row in any case: without its time an answer is worth nothing.
    if (row === undefined) throw new TypeError('the look-up gave no row')
    return { toldAt: row.toldAt, record: row.record === null ? null : readRecord(row.record) }
  }

  return {
    async findByDigest(digest) {
      return (await orOutage(watchForCache(() => probe(digest)))).record
    },
    async check() {
      await orOutage(requireSchema(db))
      // From the start, so that each check is a proof of its own.
      await orOutage(createWatch()(() => probe(new Uint8Array(DIGEST_LENGTH))))
    },
  }
}

const believeAll: WatchForCache = (ask) => ask()

interface DatedRecord extends DatedAnswer {
  /** null: no such token. */
  readonly record: TokenRecord | null
}

type RecordRow = Pick<typeof apiTokens.$inferSelect, keyof typeof RECORD_COLUMNS>

function readRecord(row: RecordRow): TokenRecord {
  return { ...row, expiresAt: readSeconds(row.expiresAt), revokedAt: readSeconds(row.revokedAt) }
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

/** One row in any case, with the time of the database: see `cache-watch.ts`. */
function prepareProbe(drizzle: Drizzle) {
  return drizzle
    .select({ toldAt: sql<number>`${sql.raw(DATABASE_TIME)}`, record: RECORD_COLUMNS })
    .from(sql`(select 1) as asked`)
    .leftJoin(apiTokens, eq(apiTokens.digest, sql.placeholder('digest')))
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
