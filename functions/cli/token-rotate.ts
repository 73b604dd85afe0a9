/** `slurmgate token rotate`: a new token in an old one's place, shown once; the old one ends after a grace period. */

import { parseLifeSeconds } from '../../src/tokens/expiry.ts'
import {
  buildRotationRequest,
  findRotationProblem,
  rotateToken,
  type RotatedToken,
} from '../../src/tokens/rotate-token.ts'
import { findToken } from '../../src/tokens/token-register.ts'
import type { Database } from '../../src/tokens/database.ts'
import type { IssueOrder } from '../../src/tokens/issue-rules.ts'
import { type Command, CommandFailure, type CommandContext, parseOptions, UsageError } from './command.ts'
import {
  type IssueConfiguration,
  readIssueConfiguration,
  requireSettings,
  withTokenDatabase,
} from './configuration.ts'
import { describeNewToken, findOperator, requireOrder, showNewToken } from './new-token.ts'
import { formatDate } from './table.ts'
import { requireId } from './token.ts'

const OPTIONS = {
  grace: { type: 'string' },
  'issued-by': { type: 'string' },
  json: { type: 'boolean' },
} as const

const DEFAULT_GRACE = '24h'
/** Whoever needs longer has two tokens: issue another one. */
const GRACE_DAYS_MAX = 90

export const rotate: Command = async (args, context) => {
  const { values, positionals } = parseOptions(args, OPTIONS, 1)
  const id = requireId(positionals[0])
  const graceSeconds = readGrace(values.grace ?? DEFAULT_GRACE)
  const configuration = requireSettings(context.env, readIssueConfiguration)
  const issuedBy = values['issued-by'] ?? findOperator(context)
  const { order, rotated } = await withTokenDatabase(configuration.databaseUrl, (db) =>
    rotateIn(db, id, { graceSeconds, issuedBy, configuration }, context),
  )
  const { issued, oldEndsAt } = rotated
  if (values.json === true) {
    const replaces = { id, ends_at: oldEndsAt.toISOString() }
    context.print(JSON.stringify({ ...describeNewToken(issued, order), replaces }) + '\n')
    return 0
  }
  showNewToken(issued, order, context)
  context.note(graceSeconds === 0 ? `revoked ${id}` : `${id} ends ${formatDate(oldEndsAt, '')}`)
  return 0
}

interface Plan {
  readonly graceSeconds: number
  readonly issuedBy: string | undefined
  readonly configuration: IssueConfiguration
}

async function rotateIn(
  db: Database,
  id: string,
  { graceSeconds, issuedBy, configuration }: Plan,
  context: CommandContext,
): Promise<{ order: IssueOrder; rotated: RotatedToken }> {
  const old = await findToken(db, id)
  if (old === null) throw new CommandFailure(`there is no token ${id}`)
  const problem = findRotationProblem(old, context.clock)
  if (problem !== null) throw new CommandFailure(problem)
  const order = requireOrder(buildRotationRequest(old, issuedBy), configuration, context)
  const rotated = await rotateToken(db, id, order, graceSeconds, context)
  if (rotated === null) throw new CommandFailure(`${id} was changed meanwhile; nothing was issued`)
  return { order, rotated }
}

/** `0`, or a life such as `24h`. */
function readGrace(raw: string): number {
  const seconds = raw === '0' ? 0 : parseLifeSeconds(raw)
  if (seconds !== null && seconds <= GRACE_DAYS_MAX * 86_400) return seconds
  throw new UsageError(`--grace takes 24h, 30m, 7d, up to ${GRACE_DAYS_MAX}d, or 0`)
}
