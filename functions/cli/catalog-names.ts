/**
 * Bare names of Postgres's own, whatever others put into a schema that everybody looks into: an overload in `public` is
 * called where it fits better (CVE-2018-1058), with the rights of whoever runs the statement. The gate's tables then need
 * their schema.
 */

import { sql } from 'drizzle-orm'
import type { Database } from '../../src/tokens/database.ts'
import type { Connection } from './held-rights.ts'

/** Until the end of the transaction. What is temporary comes last, or it would come first. */
export const SET_OWN_NAMES = 'set local search_path = pg_catalog, pg_temp'

/** One transaction. @throws what `work` throws. */
export async function withOwnNames<T>(
  db: Database,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  return await db.query((drizzle) =>
    drizzle.transaction(async (transaction) => {
      await transaction.execute(sql.raw(SET_OWN_NAMES))
      return await work(transaction)
    }),
  )
}
