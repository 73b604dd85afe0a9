/** `slurmgate token issue`: shows the new token once, and only on stdout. */

import type { IssueOrder, RawIssueRequest } from '../../src/tokens/issue-rules.ts'
import { issueToken } from '../../src/tokens/issue-token.ts'
import { isProblem, type ServiceUserWarning } from '../../src/tokens/service-user.ts'
import { IMPORTED_LENGTH_MAX } from '../../src/tokens/token-form.ts'
import { type Command, CommandFailure, type CommandContext, parseOptions } from './command.ts'
import { readIssueConfiguration, requireSettings, withTokenDatabase } from './configuration.ts'
import { describeNewToken, findOperator, requireOrder, showNewToken } from './new-token.ts'
import { cleanCell } from './table.ts'
import { findOwnUid, readUid } from './user-uid.ts'

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
  uid: { type: 'string' },
  strict: { type: 'boolean' },
  json: { type: 'boolean' },
} as const

/** The longest token and a line end. */
const STDIN_MAX_BYTES = IMPORTED_LENGTH_MAX + 2

export const issue: Command = async (args, context) => {
  const { values } = parseOptions(args, OPTIONS)
  const givenUid = readUid(values.uid)
  const configuration = requireSettings(context.env, readIssueConfiguration)
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
  const order = requireOrder(request, configuration, context)
  const uid = givenUid ?? (await findOwnUid(order.slurmUser, context.findUid))
  const warnings = [
    ...(await findWarnings(order, configuration.deniedUsers, context)),
    // Only who seals rows has somebody who reads uids.
    ...(typeof uid === 'number' || configuration.seals === null ? [] : [uid]),
  ]
  tellWarnings(warnings, values.strict === true, context)
  const ports = { ...context, seals: configuration.seals }
  const issued = await withTokenDatabase(configuration.databaseUrl, (db) =>
    issueToken(db, order, typeof uid === 'number' ? uid : null, ports),
  )
  if (issued.kind === 'duplicate') {
    throw new CommandFailure('the store has this token already; nothing was changed (token list)')
  }
  if (values.json === true)
    context.print(JSON.stringify({ ...describeNewToken(issued, order), warnings }) + '\n')
  else showNewToken(issued, order, context)
  return 0
}

/** What Slurm's accounting has against the token's user. Loads slurmrestd's adapter, which no other token command needs. */
async function findWarnings(
  order: IssueOrder,
  deniedUsers: ReadonlySet<string>,
  context: CommandContext,
): Promise<readonly ServiceUserWarning[]> {
  const { warnOfServiceUser } = await import('./service-user.ts')
  return await warnOfServiceUser(order, deniedUsers, context)
}

/** @throws CommandFailure with `--strict` where there is a problem: before anything is written. */
function tellWarnings(
  warnings: readonly ServiceUserWarning[],
  isStrict: boolean,
  context: CommandContext,
): void {
  for (const warning of warnings) {
    const word = isProblem(warning) ? 'warning' : 'note'
    context.note(`slurmgate: ${word}: ${cleanCell(warning.text)}`)
  }
  if (isStrict && warnings.some((warning) => isProblem(warning))) {
    throw new CommandFailure('no token was issued (--strict)')
  }
}

async function readImport(context: CommandContext): Promise<string> {
  const bytes = await context.readStdin(STDIN_MAX_BYTES)
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
}
