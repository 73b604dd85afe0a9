/** `slurmgate token issue`: shows the new token once, and only on stdout. */

import { checkIssueRequest, type IssueOrder, type RawIssueRequest } from '../../src/tokens/issue-rules.ts'
import { issueToken, type IssuedToken } from '../../src/tokens/issue-token.ts'
import { isProblem, type ServiceUserWarning } from '../../src/tokens/service-user.ts'
import { IMPORTED_LENGTH_MAX } from '../../src/tokens/token-form.ts'
import { type Command, CommandFailure, type CommandContext, parseOptions, UsageError } from './command.ts'
import { readIssueConfiguration, requireSettings, withTokenDatabase } from './configuration.ts'
import { cleanCell, formatDate, formatTable } from './table.ts'

const OPTIONS = {
  name: { type: 'string' },
  user: { type: 'string' },
  account: { type: 'string' },
  'any-account': { type: 'boolean' },
  scope: { type: 'string', multiple: true },
  expires: { type: 'string' },
  format: { type: 'string' },
  'token-from-stdin': { type: 'boolean' },
  'issued-by': { type: 'string' },
  strict: { type: 'boolean' },
  json: { type: 'boolean' },
} as const

/** The longest token and a line end. */
const STDIN_MAX_BYTES = IMPORTED_LENGTH_MAX + 2

export const issue: Command = async (args, context) => {
  const { values } = parseOptions(args, OPTIONS)
  const { databaseUrl, deniedUsers, areAdminScopesOpen } = requireSettings(
    context.env,
    readIssueConfiguration,
  )
  const request: RawIssueRequest = {
    name: values.name,
    user: values.user,
    account: values.account,
    anyAccount: values['any-account'] === true,
    scopes: values.scope ?? [],
    expires: values.expires,
    format: values.format,
    importedToken: values['token-from-stdin'] === true ? await readImport(context) : undefined,
    issuedBy: values['issued-by'] ?? findOperator(context),
  }
  const nowSeconds = Math.floor(context.clock() / 1000)
  const order = checkIssueRequest(request, { deniedUsers, areAdminScopesOpen, nowSeconds })
  if (order.kind === 'issue-problems') {
    const lines = order.problems.map(({ text }) => text)
    if (order.problems.some(({ kind }) => kind === 'usage')) throw new UsageError(...lines)
    throw new CommandFailure(lines.join('\n'))
  }
  const warnings = await warn(order, deniedUsers, values.strict === true, context)
  const issued = await withTokenDatabase(databaseUrl, (db) => issueToken(db, order, context))
  if (issued.kind === 'duplicate') {
    throw new CommandFailure('the store has this token already; nothing was changed (token list)')
  }
  if (values.json === true) context.print(JSON.stringify(describe(issued, order, warnings)) + '\n')
  else show(issued, order, context)
  return 0
}

/**
 * Says what Slurm's accounting has against the token's user. Loads slurmrestd's adapter, which no other token command
 * needs.
 * @throws CommandFailure with `--strict` where there is a problem: before anything is written.
 */
async function warn(
  order: IssueOrder,
  deniedUsers: ReadonlySet<string>,
  isStrict: boolean,
  context: CommandContext,
): Promise<readonly ServiceUserWarning[]> {
  const { warnOfServiceUser } = await import('./service-user.ts')
  const warnings = await warnOfServiceUser(order, deniedUsers, context)
  for (const warning of warnings) {
    const word = isProblem(warning) ? 'warning' : 'note'
    context.note(`slurmgate: ${word}: ${cleanCell(warning.text)}`)
  }
  if (isStrict && warnings.some((warning) => isProblem(warning))) {
    throw new CommandFailure('no token was issued (--strict)')
  }
  return warnings
}

async function readImport(context: CommandContext): Promise<string> {
  const bytes = await context.readStdin(STDIN_MAX_BYTES)
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
}

/** Who asks: behind sudo, the person and not root. Services and cron jobs have none of these variables. */
function findOperator({ env, userName }: CommandContext): string | undefined {
  const names = [env['SUDO_USER'], env['LOGNAME'], env['USER'], userName]
  return names.find((name) => name !== undefined && name !== '')
}

function show(issued: IssuedToken, order: IssueOrder, context: CommandContext): void {
  if (!context.isTerminal) {
    context.print(issued.token + '\n')
    return context.note(`issued ${issued.id} (${cleanCell(order.name)})`)
  }
  context.print(formatTable(listFields(issued, order)))
  if (order.form.format === 'imported') return context.note('Imported: its holder has the token already.')
  context.print(`\n${issued.token}\n\n`)
  context.note('This token is shown once and cannot be recovered. Hand it over on a safe way.')
}

function describe(
  issued: IssuedToken,
  order: IssueOrder,
  warnings: readonly ServiceUserWarning[],
): Readonly<Record<string, unknown>> {
  return {
    id: issued.id,
    token: issued.token,
    name: order.name,
    user: order.slurmUser,
    account: order.account,
    scopes: order.scopes,
    format: order.form.format,
    expires_at: order.expiresAt === null ? null : new Date(order.expiresAt * 1000).toISOString(),
    issued_by: order.issuedBy,
    warnings,
  }
}

function listFields(issued: IssuedToken, order: IssueOrder): readonly (readonly string[])[] {
  const expiresAt = order.expiresAt === null ? null : new Date(order.expiresAt * 1000)
  return [
    ['id', issued.id],
    ['name', order.name],
    ['user', order.slurmUser],
    ['account', order.account ?? '(any)'],
    ['scopes', order.scopes.join(', ')],
    ['expires', formatDate(expiresAt, 'never')],
    ['issued by', order.issuedBy],
  ]
}
