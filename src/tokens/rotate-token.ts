/**
 * Puts a new token in an old one's place: same name, user, scopes and account, a life of the same length, and an end for
 * the old one. One transaction: either both rows say so or neither.
 */

import type { Clock } from '../ports.ts'
import type { Database } from './database.ts'
import type { IssueOrder, RawIssueRequest } from './issue-rules.ts'
import { prepareToken, type IssuedToken, type IssuePorts } from './issue-token.ts'
import { apiTokens } from './schema.ts'
import { findChangeProblem, lockRow, writeSealedChange, type ChangeProblem } from './seal-keeping.ts'
import { readTokenState, type RegisteredToken } from './token-register.ts'

export interface RotatedToken {
  readonly kind: 'rotated'
  readonly order: IssueOrder
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

export interface RotationPlan {
  /** For how long the old token still works, at most until its own end; 0: it is revoked. */
  readonly graceSeconds: number
  /** Of the row once it is locked, from the request that `buildRotationRequest` makes. May throw: nothing is changed then. */
  readonly buildOrder: (old: RegisteredToken) => IssueOrder
  /** Counts where the old row has none and is of this user; null: nobody knows it. */
  readonly foundUid: { readonly slurmUser: string; readonly uid: number } | null
}

/**
 * @returns null where the old token is unknown, revoked, expired or rotated by now, `seal-problem` where its seal could not
 *   be kept true: nothing was changed.
 * @throws what the driver throws; then no token was given out, and `token show` tells whether the old one has an end.
 */
export async function rotateToken(
  db: Database,
  oldId: string,
  plan: RotationPlan,
  ports: IssuePorts,
): Promise<RotatedToken | { readonly kind: 'seal-problem'; readonly problem: ChangeProblem } | null> {
  return await db.query((drizzle) =>
    drizzle.transaction(async (transaction) => {
      // The row is locked from here on: another rotation waits, and then finds it replaced.
      const old = await lockRow(transaction, oldId)
      if (old === null || findRotationProblem(old, ports.clock) !== null) return null
      const problem = await findChangeProblem(old, ports.seals)
      if (problem !== null) return { kind: 'seal-problem', problem }
      const order = plan.buildOrder(old)
      const { issued, row } = await prepareToken(order, findUid(old, plan), ports)
      const { end, oldEndsAt } = buildEnd(old, plan.graceSeconds, ports.clock)
      await writeSealedChange(transaction, old, { replacedBy: issued.id, ...end }, ports)
      await transaction.insert(apiTokens).values(row)
      return { kind: 'rotated', order, issued, oldEndsAt }
    }),
  )
}

function findUid(old: RegisteredToken, { foundUid }: RotationPlan): number | null {
  if (old.uid !== null) return old.uid
  return foundUid?.slurmUser === old.slurmUser ? foundUid.uid : null
}

function buildEnd(old: RegisteredToken, graceSeconds: number, clock: Clock) {
  const now = new Date(clock())
  if (graceSeconds === 0) return { end: { revokedAt: now }, oldEndsAt: now }
  const graceEnd = new Date(now.getTime() + graceSeconds * 1000)
  const expiresAt = old.expiresAt !== null && old.expiresAt < graceEnd ? old.expiresAt : graceEnd
  return { end: { expiresAt }, oldEndsAt: expiresAt }
}
