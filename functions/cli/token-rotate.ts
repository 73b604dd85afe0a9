/** `slurmgate token rotate`: a new token in an old one's place, shown once; the old one ends after a grace period. */

import { parseLifeSeconds } from '../../src/tokens/expiry.ts'
import {
  buildRotationRequest,
  findRotationProblem,
  rotateToken,
  type RotatedToken,
} from '../../src/tokens/rotate-token.ts'
import { findToken, type RegisteredToken } from '../../src/tokens/token-register.ts'
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
import { describeRefusedChange } from './seal-problem.ts'
import { cleanCell, formatDate } from './table.ts'
import { requireId } from './token.ts'
import { findOwnUid } from './user-uid.ts'

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
  const { order, issued, oldEndsAt } = await withTokenDatabase(configuration.databaseUrl, (db) =>
    rotateIn(db, id, { graceSeconds, issuedBy, configuration }, context),
  )
  if (values.json === true) {
    const replaces = { id, ends_at: oldEndsAt.toISOString() }
    context.print(JSON.stringify({ ...describeNewToken(issued, order), replaces }) + '\n')
    return 0
  }
  showNewToken(issued, order, context)
  context.note(graceSeconds === 0 ? `revoked ${id}` : `${id} ends ${formatDate(oldEndsAt, '')}`)
  return 0
}

interface Wish {
  readonly graceSeconds: number
  readonly issuedBy: string | undefined
  readonly configuration: IssueConfiguration
}

async function rotateIn(
  db: Database,
  id: string,
  { graceSeconds, issuedBy, configuration }: Wish,
  context: CommandContext,
): Promise<RotatedToken> {
  const buildOrder = (old: RegisteredToken): IssueOrder =>
    requireOrder(buildRotationRequest(old, issuedBy), configuration, context)
  const old = await findToken(db, id)
  if (old === null) throw new CommandFailure(`there is no token ${id}`)
  const problem = findRotationProblem(old, context.clock)
  if (problem !== null) throw new CommandFailure(problem)
  const { slurmUser } = buildOrder(old)
  const uid = old.uid ?? (await findOwnUid(slurmUser, context.findUid))
  if (typeof uid !== 'number') context.note(`slurmgate: warning: ${cleanCell(uid.text)}`)
  const foundUid = typeof uid === 'number' ? { slurmUser, uid } : null
  const ports = { ...context, seals: configuration.seals }
  const rotated = await rotateToken(db, id, { graceSeconds, buildOrder, foundUid }, ports)
  if (rotated === null) throw new CommandFailure(`${id} was changed meanwhile; nothing was issued`)
  if (rotated.kind === 'seal-problem') throw new CommandFailure(describeRefusedChange(id, rotated.problem))
  return rotated
}

/** `0`, or a life such as `24h`. */
function readGrace(raw: string): number {
  const seconds = raw === '0' ? 0 : parseLifeSeconds(raw)
  if (seconds !== null && seconds <= GRACE_DAYS_MAX * 86_400) return seconds
  throw new UsageError(`--grace takes 24h, 30m, 7d, up to ${GRACE_DAYS_MAX}d, or 0`)
}
