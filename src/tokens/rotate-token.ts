/**
 * Puts a new token in an old one's place: same name, user, scopes and account, a life of the same length, and an end for
 * the old one. One transaction: either both rows say so or neither.
 */

import { and, eq, gt, isNull, or, sql } from 'drizzle-orm'
import type { Clock } from '../ports.ts'
import type { Database } from './database.ts'
import type { IssueOrder, RawIssueRequest } from './issue-rules.ts'
import { prepareToken, type IssuedToken, type IssuePorts } from './issue-token.ts'
import { apiTokens } from './schema.ts'
import { readTokenState, type RegisteredToken } from './token-register.ts'

export interface RotatedToken {
  readonly kind: 'rotated'
  readonly issued: IssuedToken
  /** When the old token ends, or ended. */
  readonly oldEndsAt: Date
}

/** @returns why a token cannot be rotated, for the operator; null: it can. */
export function findRotationProblem(token: RegisteredToken, clock: Clock): string | null {
  const state = readTokenState(token, clock)
  if (state !== 'active') return `${token.id} is ${state}; issue a new token`
  if (token.replacedBy === null) return null
  return `${token.id} was rotated before; the token in its place is ${token.replacedBy}`
}

/** What issuing the same again asks for. An imported token's place is taken by one of ours. */
export function buildRotationRequest(token: RegisteredToken, issuedBy: string | undefined): RawIssueRequest {
  const { createdAt, expiresAt, account } = token
  const lifeMilliseconds = expiresAt === null ? null : expiresAt.getTime() - createdAt.getTime()
  return {
    name: token.name,
    user: token.slurmUser,
    account: account ?? undefined,
    anyAccount: account === null,
    scopes: token.scopes,
    expires: lifeMilliseconds === null ? 'never' : `${Math.ceil(lifeMilliseconds / 1000)}s`,
    format: token.format === 'jwt' ? 'jwt' : 'opaque',
    issuedBy,
  }
}

/**
 * @param order from the request that `buildRotationRequest` made.
 * @param graceSeconds for how long the old token still works, at most until its own end; 0: it is revoked.
 * @returns null where the old token is unknown, revoked, expired or rotated by now: nothing was changed.
 * @throws what the driver throws; then no token was given out, and `token show` tells whether the old one has an end.
 */
export async function rotateToken(
  db: Database,
  oldId: string,
  order: IssueOrder,
  graceSeconds: number,
  ports: IssuePorts,
): Promise<RotatedToken | null> {
  const { issued, row } = await prepareToken(order, ports)
  const now = new Date(ports.clock())
  const graceEnd = new Date(now.getTime() + graceSeconds * 1000).toISOString()
  const end =
    graceSeconds === 0
      ? { revokedAt: now }
      : { expiresAt: sql`least(${apiTokens.expiresAt}, ${graceEnd}::timestamptz)` }
  return await db.query((drizzle) =>
    drizzle.transaction(async (transaction) => {
      // The row is locked from here on: another rotation waits, and then finds it replaced.
      const [old] = await transaction
        .update(apiTokens)
        .set({ replacedBy: issued.id, ...end })
        .where(
          and(
            eq(apiTokens.id, oldId),
            isNull(apiTokens.revokedAt),
            isNull(apiTokens.replacedBy),
            or(isNull(apiTokens.expiresAt), gt(apiTokens.expiresAt, now)),
          ),
        )
        .returning({ expiresAt: apiTokens.expiresAt, revokedAt: apiTokens.revokedAt })
      if (old === undefined) return null
      await transaction.insert(apiTokens).values(row)
      return { kind: 'rotated', issued, oldEndsAt: old.revokedAt ?? old.expiresAt ?? now }
    }),
  )
}
