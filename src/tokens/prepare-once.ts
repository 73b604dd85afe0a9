/** Statements that are written once for each pool: to have drizzle write one anew costs microseconds in each call (measured). */

import type { Drizzle } from './database.ts'

/**
 * Postgres parses and plans what carries a name once for each connection, and the driver asks it in one round trip; without
 * a name it takes two (measured).
 * @param prepare names its statement.
 */
export function prepareOnce<Statement>(
  prepare: (drizzle: Drizzle) => Statement,
): (drizzle: Drizzle) => Statement {
  const prepared = new WeakMap<Drizzle, Statement>()
  return (drizzle) => {
    const known = prepared.get(drizzle)
    if (known !== undefined) return known
    const statement = prepare(drizzle)
    prepared.set(drizzle, statement)
    return statement
  }
}
