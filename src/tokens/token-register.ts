/** The operator's view of issued tokens: list, look at. Never reads a digest. */

import { and, asc, desc, eq, gte, isNull, or, sql, type SQL } from 'drizzle-orm'
import type { Clock } from '../ports.ts'
import type { Database } from './database.ts'
import { apiTokens } from './schema.ts'

export interface RegisteredToken {
  readonly id: string
  readonly name: string
  readonly slurmUser: string
  readonly scopes: readonly string[]
  readonly account: string | null
  readonly format: string
  readonly createdAt: Date
  readonly expiresAt: Date | null
  readonly revokedAt: Date | null
  readonly issuedBy: string
  /** The token that a rotation issued in its place; null: none. */
  readonly replacedBy: string | null
  /** Of the Slurm user when the token was issued; null: nobody knew it. */
  readonly uid: number | null
  /** When the row was sealed last; null: it has no seal. Says nothing about whether the seal is right. */
  readonly sealedAt: Date | null
  readonly policyVersion: number
}

export type TokenState = 'active' | 'expired' | 'revoked'

/** Every column but the digest. */
const COLUMNS = {
  id: apiTokens.id,
  name: apiTokens.name,
  slurmUser: apiTokens.slurmUser,
  scopes: apiTokens.scopes,
  account: apiTokens.account,
  format: apiTokens.format,
  createdAt: apiTokens.createdAt,
  expiresAt: apiTokens.expiresAt,
  revokedAt: apiTokens.revokedAt,
  issuedBy: apiTokens.issuedBy,
  replacedBy: apiTokens.replacedBy,
  uid: apiTokens.uid,
  sealedAt: apiTokens.sealedAt,
  policyVersion: apiTokens.policyVersion,
} as const

export interface ListQuestion {
  /** Begins after this one; null: at the newest. */
  readonly after: ListPosition | null
  /** Tokens of one portion at most. */
  readonly portionRows: number
  /** null: everybody's. */
  readonly slurmUser: string | null
  /** Unix milliseconds: those alone that are active then; null: all. */
  readonly activeAt: number | null
}

/** A place in the list. The time is Postgres's own, to the microsecond: a `Date` would skip rows or give them twice. */
export interface ListPosition {
  readonly createdAt: string
  readonly id: string
}

const POSITION = {
  id: apiTokens.id,
  createdAt: sql<string>`pg_catalog.to_char(${apiTokens.createdAt} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`,
}

/**
 * Newest first, in portions that are read when they are asked for, each by one index probe whatever the place. Tokens
 * that are issued meanwhile may be missing.
 */
export async function* listTokens(
  db: Database,
  question: ListQuestion,
): AsyncGenerator<readonly RegisteredToken[]> {
  for (let { after } = question; ;) {
    const rows = await readPortion(db, { ...question, after })
    if (rows.length > 0) yield rows.map(({ token }) => token)
    after = rows.at(-1)?.position ?? null
    if (after === null || rows.length < question.portionRows) return
  }
}

/** @returns null: no such token. */
export async function findPosition(db: Database, id: string): Promise<ListPosition | null> {
  const [position] = await db.query((drizzle) =>
    drizzle.select(POSITION).from(apiTokens).where(eq(apiTokens.id, id)),
  )
  return position ?? null
}

async function readPortion(db: Database, { after, portionRows, slurmUser, activeAt }: ListQuestion) {
  return await db.query((drizzle) =>
    drizzle
      .select({ token: COLUMNS, position: POSITION })
      .from(apiTokens)
      .where(
        and(
          after === null ? undefined : isAfter(after),
          slurmUser === null ? undefined : eq(apiTokens.slurmUser, slurmUser),
          activeAt === null ? undefined : isActive(activeAt),
        ),
      )
      .orderBy(desc(apiTokens.createdAt), asc(apiTokens.id))
      .limit(portionRows),
  )
}

/** In a form that `api_tokens_newest_first` is entered by: its time, then what is left of the same time. */
function isAfter({ createdAt, id }: ListPosition): SQL {
  const time = sql`${createdAt}::timestamptz`
  return sql`${apiTokens.createdAt} <= ${time} and (${apiTokens.createdAt} < ${time} or ${apiTokens.id} > ${id})`
}

/** As `readTokenState` sees it, which knows milliseconds. */
function isActive(milliseconds: number): SQL | undefined {
  const endsLater = gte(apiTokens.expiresAt, new Date(milliseconds + 1))
  return and(isNull(apiTokens.revokedAt), or(isNull(apiTokens.expiresAt), endsLater))
}

/** @returns null: no such token. */
export async function findToken(db: Database, id: string): Promise<RegisteredToken | null> {
  const [row] = await db.query((drizzle) =>
    drizzle.select(COLUMNS).from(apiTokens).where(eq(apiTokens.id, id)),
  )
  return row ?? null
}

export function readTokenState(
  token: Pick<RegisteredToken, 'revokedAt' | 'expiresAt'>,
  clock: Clock,
): TokenState {
  if (token.revokedAt !== null) return 'revoked'
  return token.expiresAt !== null && token.expiresAt.getTime() <= clock() ? 'expired' : 'active'
}
