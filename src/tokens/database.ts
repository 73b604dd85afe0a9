/**
 * Postgres for the token store and the replay guard: a pool whose every use is bounded in time. The same code runs on
 * Node (a pool for the life of the process) and on workerd (opened and closed within one request).
 */

import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js'
import postgres from 'postgres'
import { DatabaseDeadline, PooledConnection } from './database-error.ts'
import { askServer, buildUnknownServer, type DatabaseServer } from './database-server.ts'

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
  let recognition: Promise<Pool> | null = null
  let isClosed = false

  // A connection that went silent blocks what is sent on it later, and the driver would try it again and again:
  // after a missed deadline the pool is given up and the next query opens a new one.
  const discard = (silent: Pool): void => {
    if (pool === silent) pool = null
    silent.sql.end({ timeout: 0 }).catch(() => undefined)
  }

  const recognise = async (): Promise<Pool> => {
    while (!isClosed) {
      const asked = (pool ??= openPool(url, options, server))
      const [wasOwn, tookTimeout] = [server.isOwn, server.takesTimeout]
      Object.assign(server, await askServer(asked.sql, server))
      if (options.isOwnNeeded === true && !server.isOwn) throw new PooledConnection()
      if (server.isOwn === wasOwn && server.takesTimeout === tookTimeout) return asked
      discard(asked)
    }
    throw new DatabaseDeadline('the database was closed')
  }

  /** Whoever comes meanwhile waits for the same answer. */
  const findPool = (): Promise<Pool> =>
    (recognition ??= recognise().finally(() => {
      recognition = null
    }))

  return {
    db: {
      async query(work) {
        if (isClosed) throw new DatabaseDeadline('the database was closed')
        if (server.isKnown && recognition === null) {
          const used = (pool ??= openPool(url, options, server))
          return await withDeadline(work(used.drizzle), deadlineMilliseconds, () => {
            discard(used)
          })
        }
        return await withDeadline(
          findPool().then(({ drizzle }) => work(drizzle)),
          deadlineMilliseconds,
          () => {
            if (pool !== null) discard(pool)
          },
        )
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
  const statementTimeoutSeconds = server.takesTimeout ? (options.statementTimeoutSeconds ?? 4) : 0
  const sql = postgres(url, {
    max: options.max ?? 10,
    idle_timeout: options.idleTimeoutSeconds ?? 30,
    connect_timeout: options.connectTimeoutSeconds ?? 4,
    prepare: server.isOwn && (options.prepare ?? true),
    // The types used here are known; asking for all costs a round trip for each connection.
    fetch_types: false,
    // The driver would wait up to 20 s before it tries a Postgres again that is back already.
    backoff: false,
    onnotice: () => undefined,
    connection: {
      application_name: APPLICATION_NAME,
      ...(statementTimeoutSeconds > 0 ? { statement_timeout: statementTimeoutSeconds * 1000 } : {}),
    },
  })
  return { sql, drizzle: drizzle(sql) }
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
