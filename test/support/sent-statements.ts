/** A database as the code under test has it, and every statement that went to Postgres through it. */

import { drizzle } from 'drizzle-orm/postgres-js'
import type postgres from 'postgres'
import type { Database } from '../../src/tokens/database.ts'
import { connect } from './token-database.ts'

export interface SentStatement {
  readonly text: string
  readonly parameters: readonly unknown[]
}

export interface RecordedDatabase {
  readonly db: Database
  readonly sent: readonly SentStatement[]
  /** The same user's, for plain SQL. */
  readonly sql: postgres.Sql
}

/** The caller ends `sql`. */
export function recordStatements(url: string): RecordedDatabase {
  const sql = connect(url)
  const sent: SentStatement[] = []
  const recording = drizzle(sql, {
    logger: { logQuery: (text, parameters) => sent.push({ text, parameters }) },
  })
  return { db: { query: (work) => Promise.resolve(work(recording)) }, sent, sql }
}
