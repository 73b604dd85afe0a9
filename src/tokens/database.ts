/**
 * Postgres for the token store and the replay guard: a pool whose every use is bounded in time. The same code runs on
 * Node (a pool for the life of the process) and on workerd (opened and closed within one request).
 */

import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js'
import postgres from 'postgres'
import { DatabaseDeadline, isConnectionLost, isTimeoutRefused, PooledConnection } from './database-error.ts'
import { endPool, isFit, openPool, Use, type Pool } from './database-pool.ts'
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
  /** Ends the pool; running queries get a second, those of one that was given up before their deadline. Calling it again is harmless. */
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

const CLOSE_GRACE_SECONDS = 1

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

  /** Not for new queries any more; the last one that has it ends it. */
  const retire = (old: Pool): void => {
    if (pool === old) pool = null
    if (old.uses === 0) endPool(old)
  }

  const release = (used: Pool): void => {
    used.uses -= 1
    if (used !== pool) retire(used)
  }

  /** Opened for a server such as this is known to be by now. */
  const findPool = (): Pool => {
    if (pool !== null && !isFit(pool, options, server)) retire(pool)
    return (pool ??= openPool(url, options, server))
  }

  /** Whoever comes before the answer asks himself, and waits for nobody else's connection. */
  const recognise = async (use: Use): Promise<Pool> => {
    while (!isClosed) {
      const asked = use.take(findPool())
      learn(server, await askServer(asked.sql, asked.hasTimeout))
      requireOwn()
      // Throws where its time was over meanwhile.
      if (use.take(findPool()) === asked) return asked
    }
    throw new DatabaseDeadline('the database was closed')
  }

  const requireOwn = (): void => {
    if (options.isOwnNeeded === true && !server.isOwn) throw new PooledConnection()
  }

  const noteFailure = (used: Pool, error: unknown): void => {
    if (!isTimeoutRefused(error) && !isConnectionLost(error)) return
    // A pooler may have been put in Postgres's place: the next query finds out.
    server.isKnown = false
    // The driver may leave its place in the pool dead, and what comes to it waits in vain (postgres 3.4.9, measured).
    retire(used)
  }

  return {
    db: {
      async query<T>(work: (drizzle: Drizzle) => PromiseLike<T>): Promise<T> {
        if (isClosed) throw new DatabaseDeadline('the database was closed')
        requireOwn()
        const use = new Use(release)
        const run = async (): Promise<T> => {
          const used = server.isKnown ? use.take(findPool()) : await recognise(use)
          return await work(used.drizzle)
        }
        try {
          // A connection that went silent blocks what is sent on it later, and the driver would try it again and again:
          // after a missed deadline the pool is given up, whoever else has it, and the next query opens a new one.
          return await withDeadline(run(), deadlineMilliseconds, () => {
            if (use.pool === null) return
            retire(use.pool)
            endPool(use.pool)
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
