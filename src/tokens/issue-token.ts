/** Makes the token an order asks for and writes its row: one insert, so nothing is ever half issued. */

import type { Clock, RandomBytes } from '../ports.ts'
import { findSqlState } from './database-error.ts'
import type { Database } from './database.ts'
import type { IssueOrder } from './issue-rules.ts'
import { apiTokens } from './schema.ts'
import { buildJwtToken, buildOpaqueToken, digestToken } from './token-form.ts'
import { buildTokenId } from './token-id.ts'

export interface IssuedToken {
  readonly kind: 'issued'
  readonly id: string
  /** The token itself: to be shown once, to be kept by nobody but its holder. */
  readonly token: string
}

/** SQLSTATE unique_violation. */
const UNIQUE_VIOLATION = '23505'

export interface IssuePorts {
  readonly clock: Clock
  readonly randomBytes: RandomBytes
}

/**
 * @returns `duplicate` when the store has this token already, which only an imported one can be.
 * @throws what the driver throws (see `describeDatabaseError`); then no token was given out, and a row that may
 *   have been written after all opens nothing to anybody.
 */
export async function issueToken(
  db: Database,
  order: IssueOrder,
  ports: IssuePorts,
): Promise<IssuedToken | { readonly kind: 'duplicate' }> {
  const { issued, row } = await prepareToken(order, ports)
  try {
    await db.query((drizzle) => drizzle.insert(apiTokens).values(row))
    return issued
  } catch (error) {
    if (findSqlState(error) === UNIQUE_VIOLATION) return { kind: 'duplicate' }
    throw error
  }
}

/** @returns a token, and the row without which it opens nothing. */
export async function prepareToken(
  order: IssueOrder,
  ports: IssuePorts,
): Promise<{ readonly issued: IssuedToken; readonly row: typeof apiTokens.$inferInsert }> {
  const id = buildTokenId(ports.randomBytes)
  const issuedAt = Math.floor(ports.clock() / 1000)
  const token = buildToken(order, id, issuedAt, ports.randomBytes)
  const row = {
    id,
    name: order.name,
    slurmUser: order.slurmUser,
    digest: await digestToken(token),
    scopes: [...order.scopes],
    account: order.account,
    format: order.form.format,
    createdAt: new Date(issuedAt * 1000),
    expiresAt: order.expiresAt === null ? null : new Date(order.expiresAt * 1000),
    issuedBy: order.issuedBy,
  }
  return { issued: { kind: 'issued', id, token }, row }
}

function buildToken(order: IssueOrder, id: string, issuedAt: number, randomBytes: RandomBytes): string {
  const { form, slurmUser, expiresAt } = order
  if (form.format === 'imported') return form.token
  if (form.format === 'jwt') return buildJwtToken({ id, slurmUser, issuedAt, expiresAt }, randomBytes)
  return buildOpaqueToken(randomBytes)
}
