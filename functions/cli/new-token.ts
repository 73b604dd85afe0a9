/** What `token issue` and `token rotate` have in common: the rules, who asks, and showing a new token once. */

import { checkIssueRequest, type IssueOrder, type RawIssueRequest } from '../../src/tokens/issue-rules.ts'
import type { IssuedToken } from '../../src/tokens/issue-token.ts'
import { CommandFailure, type CommandContext, UsageError } from './command.ts'
import type { IssueConfiguration } from './configuration.ts'
import { cleanCell, formatDate, formatTable, formatUid } from './table.ts'

/** @throws UsageError, CommandFailure with every rule that the request breaks. */
export function requireOrder(
  request: RawIssueRequest,
  { deniedUsers, areAdminScopesOpen }: IssueConfiguration,
  context: CommandContext,
): IssueOrder {
  const nowSeconds = Math.floor(context.clock() / 1000)
  const order = checkIssueRequest(request, { deniedUsers, areAdminScopesOpen, nowSeconds })
  if (order.kind === 'issue-order') return order
  const lines = order.problems.map(({ text }) => text)
  if (order.problems.some(({ kind }) => kind === 'usage')) throw new UsageError(...lines)
  throw new CommandFailure(lines.join('\n'))
}

/** Who asks: behind sudo, the person and not root. Services and cron jobs have none of these variables. */
export function findOperator({ env, userName }: CommandContext): string | undefined {
  const names = [env['SUDO_USER'], env['LOGNAME'], env['USER'], userName]
  return names.find((name) => name !== undefined && name !== '')
}

/** On a pipe the token alone. */
export function showNewToken(issued: IssuedToken, order: IssueOrder, context: CommandContext): void {
  if (!context.isTerminal) {
    context.print(issued.token + '\n')
    return context.note(`issued ${issued.id} (${cleanCell(order.name)})`)
  }
  context.print(formatTable(listFields(issued, order)))
  if (order.form.format === 'imported') return context.note('Imported: its holder has the token already.')
  context.print(`\n${issued.token}\n\n`)
  context.note('This token is shown once and cannot be recovered. Hand it over on a safe way.')
}

/** For `--json`. */
export function describeNewToken(issued: IssuedToken, order: IssueOrder): Readonly<Record<string, unknown>> {
  return {
    id: issued.id,
    token: issued.token,
    name: order.name,
    user: order.slurmUser,
    uid: issued.uid,
    account: order.account,
    scopes: order.scopes,
    format: order.form.format,
    expires_at: order.expiresAt === null ? null : new Date(order.expiresAt * 1000).toISOString(),
    issued_by: order.issuedBy,
  }
}

function listFields(issued: IssuedToken, order: IssueOrder): readonly (readonly string[])[] {
  const expiresAt = order.expiresAt === null ? null : new Date(order.expiresAt * 1000)
  return [
    ['id', issued.id],
    ['name', order.name],
    ['user', order.slurmUser],
    ['uid', formatUid(issued.uid)],
    ['account', order.account ?? '(any)'],
    ['scopes', order.scopes.join(', ')],
    ['expires', formatDate(expiresAt, 'never')],
    ['issued by', order.issuedBy],
  ]
}
