/** Connections to one Postgres that are opened alike, and who has them. */

import { drizzle } from 'drizzle-orm/postgres-js'
import postgres from 'postgres'
import { DatabaseDeadline } from './database-error.ts'
import type { DatabaseServer } from './database-server.ts'
import type { DatabaseOptions, Drizzle } from './database.ts'

/** Names the programs in `pg_stat_activity`. */
const APPLICATION_NAME = 'slurmgate'

export interface Pool {
  readonly sql: postgres.Sql
  readonly drizzle: Drizzle
  /** Whether statements that have names get them. */
  readonly isNaming: boolean
  /** Whether its connections are opened with a `statement_timeout`. */
  readonly hasTimeout: boolean
  /** Queries that have it. */
  uses: number
}

/** The pool that one query has, one at a time, and none any more once its caller was told how it ended. */
export class Use {
  readonly #release: (used: Pool) => void
  #isOver = false
  pool: Pool | null = null

  constructor(release: (used: Pool) => void) {
    this.#release = release
  }

  /** @throws DatabaseDeadline where it is over. */
  take(pool: Pool): Pool {
    if (this.#isOver) throw new DatabaseDeadline('its time was over')
    if (this.pool === pool) return pool
    this.#give()
    pool.uses += 1
    this.pool = pool
    return pool
  }

  end(): void {
    this.#isOver = true
    this.#give()
  }

  #give(): void {
    const used = this.pool
    this.pool = null
    if (used !== null) this.#release(used)
  }
}

/** At once: what waits on it fails. Calling it again is harmless. */
export function endPool({ sql }: Pool): void {
  sql.end({ timeout: 0 }).catch(() => undefined)
}

function isNaming({ prepare = true }: DatabaseOptions, server: DatabaseServer): boolean {
  return prepare && server.isOwn
}

function hasTimeout({ statementTimeoutSeconds }: DatabaseOptions, server: DatabaseServer): boolean {
  return statementTimeoutSeconds !== 0 && server.takesTimeout
}

/** Whether it was opened for a server such as this is known to be. */
export function isFit(pool: Pool, options: DatabaseOptions, server: DatabaseServer): boolean {
  return pool.isNaming === isNaming(options, server) && pool.hasTimeout === hasTimeout(options, server)
}

/** Opens nothing yet. */
export function openPool(url: string, options: DatabaseOptions, server: DatabaseServer): Pool {
  const traits = { isNaming: isNaming(options, server), hasTimeout: hasTimeout(options, server) }
  const statementTimeout = (options.statementTimeoutSeconds ?? 4) * 1000
  const sql = postgres(url, {
    max: options.max ?? 10,
    idle_timeout: options.idleTimeoutSeconds ?? 30,
    connect_timeout: options.connectTimeoutSeconds ?? 4,
    prepare: traits.isNaming,
    // The types used here are known; asking for all costs a round trip for each connection.
    fetch_types: false,
    // The driver would wait up to 20 s before it tries a Postgres again that is back already.
    backoff: false,
    onnotice: () => undefined,
    connection: {
      application_name: APPLICATION_NAME,
      ...(traits.hasTimeout && { statement_timeout: statementTimeout }),
    },
  })
  return { sql, drizzle: drizzle(sql), ...traits, uses: 0 }
}
