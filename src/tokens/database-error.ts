/**
 * Turns what the Postgres driver throws into text an operator can use. Built from codes and Postgres's own messages
 * only: the driver's other messages may repeat the connection string, and Drizzle's repeat the parameters.
 */

/** Postgres did not answer in time. */
export class DatabaseDeadline extends Error {
  override readonly name = 'DatabaseDeadline'
}

/** Postgres answered, but its schema is not the one this program needs. */
export class SchemaMisfit extends Error {
  override readonly name = 'SchemaMisfit'
}

/** Not the database answered, but a cache in between. */
export class CachedAnswer extends Error {
  override readonly name = 'CachedAnswer'

  constructor() {
    super(
      'a cache between the gate and Postgres answers look-ups: turn it off (Hyperdrive: wrangler hyperdrive update ID --caching-disabled true); or the clock of Postgres was set back',
    )
  }
}

/** Not Postgres itself answers, but a pooler, to what needs a session of its own. */
export class PooledConnection extends Error {
  override readonly name = 'PooledConnection'

  constructor() {
    super(
      'a pooler stands before Postgres (PgBouncer), and this takes a session of its own: give it the address of Postgres itself, or, where the pooler keeps a session for its client, --session-pooler',
    )
  }
}

const MIGRATE = 'run: slurmgate db migrate'
const GRANT = 'the database role may not do this; see: slurmgate db grants'

/** SQLSTATE, five characters (PostgreSQL documentation, appendix A). */
const SQLSTATE = /^[0-9A-Z]{5}$/
/** Codes of the driver and of the system: ECONNREFUSED, CONNECT_TIMEOUT. */
const NETWORK_CODE = /^[A-Z][A-Z_]{5,60}$/

/** undefined_table, undefined_column, invalid_schema_name */
const MISSING_SCHEMA = new Set(['42P01', '42703', '3F000'])

/** insufficient_privilege */
const NOT_PERMITTED = '42501'

/** protocol_violation */
const PROTOCOL_VIOLATION = '08P01'

/** The SQLSTATE of an error that Postgres sent; null: the error is none of Postgres's. */
export function findSqlState(error: unknown): string | null {
  const code = findCode(error)
  return code !== null && SQLSTATE.test(code) ? code : null
}

/** One line without secrets: what went wrong and, where there is one, the way out. */
export function describeDatabaseError(error: unknown): string {
  const source = findSource(error)
  if (
    source instanceof DatabaseDeadline ||
    source instanceof SchemaMisfit ||
    source instanceof CachedAnswer ||
    source instanceof PooledConnection
  ) {
    return source.message
  }
  const code = findCode(source)
  if (code === null) return 'the Postgres driver failed'
  if (MISSING_SCHEMA.has(code)) return `the schema is missing or too old; ${MIGRATE}`
  if (code === NOT_PERMITTED) return `Postgres refused: ${code} ${readMessage(source)}; ${GRANT}`
  if (SQLSTATE.test(code)) return `Postgres refused: ${code} ${readMessage(source)}`
  return NETWORK_CODE.test(code) ? `Postgres cannot be reached: ${code}` : 'the Postgres driver failed'
}

/** True where Postgres answered, and what it holds is not what this program needs: only an operator can help. */
export function isSchemaMisfit(error: unknown): boolean {
  return findSource(error) instanceof SchemaMisfit || MISSING_SCHEMA.has(findCode(error) ?? '')
}

export function buildSchemaMisfit(tag: string): SchemaMisfit {
  return new SchemaMisfit(`the schema lacks migration ${tag}; ${MIGRATE}`)
}

/** True where Postgres did not permit it: only an administrator of the database can help. */
export function isNotPermitted(error: unknown): boolean {
  return findCode(error) === NOT_PERMITTED
}

/** True where the connection was refused because `statement_timeout` came with it (PgBouncer, `ignore_startup_parameters`). */
export function isTimeoutRefused(error: unknown): boolean {
  return findCode(error) === PROTOCOL_VIOLATION && readPostgresMessage(error).includes('statement_timeout')
}

/** Of the driver, and of the system for a connection that was there. */
const LOST = new Set(['CONNECT_TIMEOUT', 'CONNECTION_CLOSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT'])

/** True where a connection broke, or none came about in time: not where the server refused one. */
export function isConnectionLost(error: unknown): boolean {
  return LOST.has(findCode(error) ?? '')
}

/** What Postgres itself said. For errors that it sent. */
export function readPostgresMessage(error: unknown): string {
  return readMessage(findSource(error))
}

/** Drizzle wraps the driver's error, with query and parameters in its message. */
function findSource(error: unknown): unknown {
  let source = error
  for (let depth = 0; depth < 5 && source instanceof Error && source.cause instanceof Error; depth++) {
    source = source.cause
  }
  return source
}

function findCode(error: unknown): string | null {
  const source = findSource(error)
  if (typeof source !== 'object' || source === null || !('code' in source)) return null
  return typeof source.code === 'string' ? source.code : null
}

function readMessage(error: unknown): string {
  return error instanceof Error ? error.message.replace(/[^\x20-\x7e]/g, '?').slice(0, 200) : ''
}
