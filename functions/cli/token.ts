/** `slurmgate token show | revoke`: one of those that were issued. Knows no token and prints no digest. */

import type { Clock } from '../../src/ports.ts'
import { isTokenId } from '../../src/tokens/token-id.ts'
import { findToken, readTokenState, type RegisteredToken } from '../../src/tokens/token-register.ts'
import { revokeToken } from '../../src/tokens/revoke-token.ts'
import { type Command, CommandFailure, parseOptions, UsageError } from './command.ts'
import {
  readStoreConfiguration,
  requireDatabaseUrl,
  requireSettings,
  withTokenDatabase,
} from './configuration.ts'
import { describeRevokedSeal } from './seal-problem.ts'
import { formatDate, formatTable, formatUid } from './table.ts'

const OPTIONS = { json: { type: 'boolean' } } as const

export const show: Command = async (args, context) => {
  const { values, positionals } = parseOptions(args, OPTIONS, 1)
  const id = requireId(positionals[0])
  const token = await withTokenDatabase(requireDatabaseUrl(context.env), (db) => findToken(db, id))
  if (token === null) throw new CommandFailure(`there is no token ${id}`)
  if (values.json === true) context.print(JSON.stringify(describeToken(token, context.clock)) + '\n')
  else context.print(formatTable(listFields(token, context.clock)))
  return 0
}

export const revoke: Command = async (args, context) => {
  const { values, positionals } = parseOptions(args, OPTIONS, 1)
  const id = requireId(positionals[0])
  const { databaseUrl, seals } = requireSettings(context.env, readStoreConfiguration)
  const { outcome, sealProblem } = await withTokenDatabase(databaseUrl, (db) =>
    revokeToken(db, id, { clock: context.clock, seals }),
  )
  if (outcome === 'unknown') throw new CommandFailure(`there is no token ${id}`)
  const warning = sealProblem === null ? null : describeRevokedSeal(id, sealProblem)
  if (warning !== null) context.note(`slurmgate: warning: ${warning}`)
  const wasRevokedBefore = outcome === 'revoked-before'
  if (values.json === true) {
    context.print(JSON.stringify({ id, revoked: true, revoked_before: wasRevokedBefore }) + '\n')
  } else context.print(wasRevokedBefore ? `${id} was revoked before\n` : `revoked ${id}\n`)
  return 0
}

/** Whatever else was pasted here, perhaps a token, is not repeated. */
export function requireId(raw: string | undefined): string {
  if (raw === undefined || !isTokenId(raw))
    throw new UsageError('a token id looks like tok_ and 16 characters')
  return raw
}

/** For programs. */
export function describeToken(token: RegisteredToken, clock: Clock): Readonly<Record<string, unknown>> {
  return {
    id: token.id,
    name: token.name,
    user: token.slurmUser,
    uid: token.uid,
    account: token.account,
    scopes: token.scopes,
    format: token.format,
    state: readTokenState(token, clock),
    created_at: token.createdAt.toISOString(),
    expires_at: token.expiresAt?.toISOString() ?? null,
    revoked_at: token.revokedAt?.toISOString() ?? null,
    issued_by: token.issuedBy,
    replaced_by: token.replacedBy,
    sealed_at: token.sealedAt?.toISOString() ?? null,
  }
}

function listFields(token: RegisteredToken, clock: Clock): readonly (readonly string[])[] {
  return [
    ['id', token.id],
    ['name', token.name],
    ['user', token.slurmUser],
    ['uid', formatUid(token.uid)],
    ['account', token.account ?? '(any)'],
    ['scopes', token.scopes.join(', ')],
    ['format', token.format],
    ['state', readTokenState(token, clock)],
    ['created', formatDate(token.createdAt, '')],
    ['expires', formatDate(token.expiresAt, 'never')],
    ['revoked', formatDate(token.revokedAt, 'no')],
    ['replaced by', token.replacedBy ?? '(none)'],
    ['sealed', formatDate(token.sealedAt, 'no')],
    ['issued by', token.issuedBy],
  ]
}
