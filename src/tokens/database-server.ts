/**
 * What answers behind a DATABASE_URL: Postgres itself, or a pooler that lends its own connections to clients in turn
 * (PgBouncer). Nothing says which; so it is asked, once.
 */

import type postgres from 'postgres'
import { isTimeoutRefused } from './database-error.ts'

/** Plain data: on Workers it outlives the request that opened a database. */
export interface DatabaseServer {
  isKnown: boolean
  /**
   * Whether a connection is one of Postgres's own for as long as it lasts. Where it is lent, a statement that was given a name on
   * it may be asked of another one, which knows none of that name.
   */
  isOwn: boolean
  /** Whether it lets `statement_timeout` be set when a connection is opened: PgBouncer does not, unless told to ignore it. */
  takesTimeout: boolean
}

export function buildUnknownServer(): DatabaseServer {
  return { isKnown: false, isOwn: true, takesTimeout: true }
}

/** One round trip, and no name for the statement; the driver knows the second, its types do not. */
const UNNAMED = { prepare: false, simple: false }

/**
 * Asks over a pool that was opened for a server as it is thought to be.
 * @returns what was found out; where it differs, the pool does not fit.
 * @throws what the driver throws.
 */
export async function askServer(sql: postgres.Sql, thought: DatabaseServer): Promise<DatabaseServer> {
  try {
    const rows = await sql.unsafe<{ pid: number }[]>('select pg_catalog.pg_backend_pid() as pid', [], UNNAMED)
    // A pooler tells its client a process id of its own making, or none (PostgreSQL documentation, "BackendKeyData").
    const isOwn = rows[0]?.pid === rows.state.pid
    return { ...thought, isKnown: true, isOwn }
  } catch (error) {
    if (thought.takesTimeout && isTimeoutRefused(error)) return { ...thought, takesTimeout: false }
    throw error
  }
}
