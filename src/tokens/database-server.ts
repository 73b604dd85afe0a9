/**
 * What answers behind a DATABASE_URL: Postgres itself, or a pooler that lends its own connections to clients in turn
 * (PgBouncer). Nothing says which; so it is asked, until it has answered, and again when a connection was lost.
 */

import type postgres from 'postgres'
import { isTimeoutRefused } from './database-error.ts'

/** Plain data: on Workers it outlives the request that opened a database. What was seen of a pooler stays. */
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

export type ServerAnswer = 'own' | 'lent' | 'timeoutRefused'

/**
 * It has a parameter because the driver then sends nothing behind it before its answer: PgBouncer 1.18 in transaction mode may leave
 * a second statement without one (measured).
 */
const QUESTION = 'select pg_catalog.pg_backend_pid() as pid where $1'

/**
 * @param hasTimeout whether the pool's connections are opened with a `statement_timeout`.
 * @throws what the driver throws.
 */
export async function askServer(sql: postgres.Sql, hasTimeout: boolean): Promise<ServerAnswer> {
  try {
    const rows = await sql.unsafe<{ pid: number }[]>(QUESTION, [true], { prepare: false })
    // A pooler tells its client a process id of its own making, or none (PostgreSQL documentation, "BackendKeyData").
    return rows[0]?.pid === rows.state.pid ? 'own' : 'lent'
  } catch (error) {
    if (hasTimeout && isTimeoutRefused(error)) return 'timeoutRefused'
    throw error
  }
}

export function learn(server: DatabaseServer, answer: ServerAnswer): void {
  if (answer === 'timeoutRefused') server.takesTimeout = false
  else server.isKnown = true
  if (answer === 'lent') server.isOwn = false
}
