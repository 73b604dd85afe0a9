/**
 * Postgres for the token store and the replay guard: a pool whose every use is bounded in time. The same code runs on
 * Node (a pool for the life of the process) and on workerd (opened and closed within one request).
 */

import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js'
import postgres from 'postgres'
import { DatabaseDeadline, isConnectionLost, isTimeoutRefused, PooledConnection } from './database-error.ts'
import { askServer, buildUnknownServer, learn, type DatabaseServer } from './database-server.ts'

export type Drizzle = PostgresJsDatabase

/** What the store and the guard need of a database. */
export interface Database {
  /**
   * Runs `work` on the pool. Never takes longer than the deadline, whatever Postgres or the network does.
   * @throws what the driver throws; `DatabaseDeadline`. `describeDatabaseError` makes either fit for a log.
   */
  query<T>(work: (drizzle: Drizzle) => PromiseLike<T>): Promise<T>
}

export interface OpenDatabase {
  readonly db: Database
  /** Ends the pool; running queries get a second. Calling it again is harmless. */
  readonly close: () => Promise<void>
}

export interface DatabaseOptions {
  /** Connections at most. Default 10; a Worker's request needs 1. */
  readonly max?: number
  /** An unused connection is closed after this long. Default 30. */
  readonly idleTimeoutSeconds?: number
  /** Until a connection is ready for queries. Default 4. */
  readonly connectTimeoutSeconds?: number
  /** Postgres itself stops a statement after this long; not behind a pooler that refuses it. Default 4; 0: no limit. */
  readonly statementTimeoutSeconds?: number
  /** Until the caller gets an answer or an error. Default 5. */
  readonly deadlineSeconds?: number
  /** Statements that have names, where the server keeps them. Default true; false where a connection serves one request. */
  readonly prepare?: boolean
  /** Refuses to go through a pooler: for what one session has to hold. Default false. */
  readonly isOwnNeeded?: boolean
  /** Default: unknown, as it should be where this lives as long as the process. It is found out, and remembered in here. */
  readonly server?: DatabaseServer
}

/** Names the programs in `pg_stat_activity`. */
const APPLICATION_NAME = 'slurmgate'
const CLOSE_GRACE_SECONDS = 1

interface Pool {
  readonly sql: postgres.Sql
  readonly drizzle: Drizzle
  /** Whether statements that have names get them. */
  readonly isNaming: boolean
  /** Whether its connections are opened with a `statement_timeout`. */
  readonly hasTimeout: boolean
  /** Queries that have it. */
  uses: number
}

/** The pool that one query has, one at a time. */
class Use {
  readonly #release: (used: Pool) => void
  pool: Pool | null = null

  constructor(release: (used: Pool) => void) {
    this.#release = release
  }

  take(pool: Pool): Pool {
    if (this.pool !== pool) {
      this.end()
      pool.uses += 1
      this.pool = pool
    }
    return pool
  }

  end(): void {
    const used = this.pool
    this.pool = null
    if (used !== null) this.#release(used)
  }
}

/** At once: what waits on it fails. Calling it again is harmless. */
function end({ sql }: Pool): void {
  sql.end({ timeout: 0 }).catch(() => undefined)
}

function isNaming({ prepare = true }: DatabaseOptions, server: DatabaseServer): boolean {
  return prepare && server.isOwn
}

function hasTimeout({ statementTimeoutSeconds }: DatabaseOptions, server: DatabaseServer): boolean {
  return statementTimeoutSeconds !== 0 && server.takesTimeout
}

/**
 * Opens nothing yet: the first query connects, and finds out what it is connected to.
 *
 * @param url `postgres://` or `postgresql://`.
 * @throws Error without the value, when `url` is not one.
 */
export function openDatabase(url: string, options: DatabaseOptions = {}): OpenDatabase {
  const deadlineMilliseconds = (options.deadlineSeconds ?? 5) * 1000
  // The driver's own error carries the whole URL, password included.
  if (!isDatabaseUrl(url)) throw new Error('DATABASE_URL is not one the Postgres driver understands')
  const server = options.server ?? buildUnknownServer()
  let pool: Pool | null = null
  let isClosed = false

  /** Not for new queries any more; those that have it are not disturbed, and the last one ends it. */
  const retire = (old: Pool): void => {
    if (pool === old) pool = null
    if (old.uses === 0) end(old)
  }

  const release = (used: Pool): void => {
    used.uses -= 1
    if (used !== pool) retire(used)
  }

  /** Whoever comes before the answer asks himself: a connection that is stuck holds up nobody else. */
  const recognise = async (use: Use): Promise<Pool> => {
    while (!isClosed) {
      const asked = use.take((pool ??= openPool(url, options, server)))
      learn(server, await askServer(asked.sql, asked.hasTimeout))
      requireOwn()
      const isFit =
        asked.isNaming === isNaming(options, server) && asked.hasTimeout === hasTimeout(options, server)
      if (isFit && pool === asked) return asked
      retire(asked)
    }
    throw new DatabaseDeadline('the database was closed')
  }

  const requireOwn = (): void => {
    if (options.isOwnNeeded === true && !server.isOwn) throw new PooledConnection()
  }

  const noteFailure = (used: Pool, error: unknown): void => {
    // A pooler was put in Postgres's place: the next query finds out.
    if (isTimeoutRefused(error)) server.isKnown = false
    // The driver may leave its place in the pool dead, and what comes to it waits in vain (postgres 3.4.9, measured).
    if (isTimeoutRefused(error) || isConnectionLost(error)) retire(used)
  }

  return {
    db: {
      async query<T>(work: (drizzle: Drizzle) => PromiseLike<T>): Promise<T> {
        if (isClosed) throw new DatabaseDeadline('the database was closed')
        requireOwn()
        const use = new Use(release)
        const run = async (): Promise<T> => {
          const used = server.isKnown
            ? use.take((pool ??= openPool(url, options, server)))
            : await recognise(use)
          return await work(used.drizzle)
        }
        try {
          // A connection that went silent blocks what is sent on it later, and the driver would try it again and again:
          // after a missed deadline the pool is given up and the next query opens a new one.
          return await withDeadline(run(), deadlineMilliseconds, () => {
            if (use.pool === null) return
            retire(use.pool)
            end(use.pool)
          })
        } catch (error) {
          if (use.pool !== null) noteFailure(use.pool, error)
          throw error
        } finally {
          use.end()
        }
      },
    },
    async close() {
      isClosed = true
      const last = pool
      pool = null
      await last?.sql.end({ timeout: CLOSE_GRACE_SECONDS })
    },
  }
}

/** True for a URL the driver understands. Connects to nothing. */
export function isDatabaseUrl(raw: string): boolean {
  if (!/^postgres(ql)?:\/\//.test(raw)) return false
  try {
    postgres(raw, { max: 1 })
    return true
  } catch {
    return false
  }
}

function openPool(url: string, options: DatabaseOptions, server: DatabaseServer): Pool {
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

async function withDeadline<T>(work: PromiseLike<T>, milliseconds: number, onMissed: () => void): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      onMissed()
      reject(new DatabaseDeadline(`no answer within ${milliseconds / 1000} s`))
    }, milliseconds)
  })
  try {
    return await Promise.race([work, deadline])
  } finally {
    clearTimeout(timer)
  }
}
