/** Makes the token an order asks for and writes its row: one insert, so nothing is ever half issued. */

import type { RandomBytes } from '../ports.ts'
import { findSqlState } from './database-error.ts'
import type { Database } from './database.ts'
import type { IssueOrder } from './issue-rules.ts'
import { apiTokens } from './schema.ts'
import { withSeal, type SealPorts, type TokenRow } from './seal-keeping.ts'
import { buildJwtToken, buildOpaqueToken, digestToken } from './token-form.ts'
import { buildTokenId } from './token-id.ts'

export interface IssuedToken {
  readonly kind: 'issued'
  readonly id: string
  /** The token itself: to be shown once, to be kept by nobody but its holder. */
  readonly token: string
  /** Of its Slurm user; null: nobody knew it. */
  readonly uid: number | null
}

/** SQLSTATE unique_violation. */
const UNIQUE_VIOLATION = '23505'

/** Of the rules that a row was issued by; part of its seal. */
const POLICY_VERSION = 1

export interface IssuePorts extends SealPorts {
  readonly randomBytes: RandomBytes
}

/**
 * @param uid of the Slurm user; null: nobody knows it.
 * @returns `duplicate` when the store has this token already, which only an imported one can be.
 * @throws what the driver throws (see `describeDatabaseError`); then no token was given out, and a row that may
 *   have been written after all opens nothing to anybody.
 */
export async function issueToken(
  db: Database,
  order: IssueOrder,
  uid: number | null,
  ports: IssuePorts,
): Promise<IssuedToken | { readonly kind: 'duplicate' }> {
  const { issued, row } = await prepareToken(order, uid, ports)
  try {
    await db.query((drizzle) => drizzle.insert(apiTokens).values(row))
    return issued
  } catch (error) {
    if (findSqlState(error) === UNIQUE_VIOLATION) return { kind: 'duplicate' }
    throw error
  }
}

/** @returns a token, and the row without which it opens nothing, sealed where there is a key. */
export async function prepareToken(
  order: IssueOrder,
  uid: number | null,
  ports: IssuePorts,
): Promise<{ readonly issued: IssuedToken; readonly row: TokenRow }> {
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
    revokedAt: null,
    issuedBy: order.issuedBy,
    policyVersion: POLICY_VERSION,
    replacedBy: null,
    uid,
    seal: null,
    sealedAt: null,
  }
  return { issued: { kind: 'issued', id, token, uid }, row: await withSeal(row, ports) }
}

function buildToken(order: IssueOrder, id: string, issuedAt: number, randomBytes: RandomBytes): string {
  const { form, slurmUser, expiresAt } = order
  if (form.format === 'imported') return form.token
  if (form.format === 'jwt') return buildJwtToken({ id, slurmUser, issuedAt, expiresAt }, randomBytes)
  return buildOpaqueToken(randomBytes)
}
