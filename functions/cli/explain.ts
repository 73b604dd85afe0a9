/**
 * `slurmgate explain`: what the gate would decide on a request of an issued token, and by which rule. Forwards nothing;
 * the look at a job before a write is made where slurmrestd can be reached.
 */

import { judgeTokenRecord } from '../../src/authenticate.ts'
import { type Environment, readText } from '../../src/environment.ts'
import { explain, type Explanation } from '../../src/explain.ts'
import { createJobCheck } from '../../src/job-check.ts'
import { createJudge, type Judge } from '../../src/judge.ts'
import { isLatestPath } from '../../src/operation.ts'
import { createOwnPathJudge } from '../../src/own-path.ts'
import { NEWEST_VERSION, OLDEST_VERSION } from '../../src/policy/route-table.ts'
import { findQuestionProblem, type Question } from '../../src/question.ts'
import { Outage } from '../../src/refusal.ts'
import { readBodyMaxBytes, readVersionSetting } from '../../src/settings.ts'
import { isTokenId } from '../../src/tokens/token-id.ts'
import { findToken, type RegisteredToken } from '../../src/tokens/token-register.ts'
import { readBodyFile } from './body-file.ts'
import { type Command, CommandFailure, type CommandContext, parseOptions, UsageError } from './command.ts'
import {
  type IssueConfiguration,
  readIssueConfiguration,
  requireSettings,
  withTokenDatabase,
} from './configuration.ts'
import { isKeyElsewhere, KEY_ELSEWHERE, withSlurmrestd } from './slurmrestd.ts'
import { formatTable } from './table.ts'

const OPTIONS = {
  'token-id': { type: 'string' },
  body: { type: 'string' },
  'content-type': { type: 'string' },
  json: { type: 'boolean' },
} as const

/** @returns 0 where the request would be let through, 1 where it would not. */
export const explainRequest: Command = async (args, context) => {
  const { values, positionals } = parseOptions(args, OPTIONS, 2)
  const id = values['token-id']
  if (id === undefined || !isTokenId(id))
    throw new UsageError('--token-id needs the id of a token, such as tok_…')
  const [method = '', target = ''] = positionals
  const problem = findQuestionProblem(method, target)
  if (problem !== null) throw new UsageError(problem)
  const settings = requireSettings(context.env, readSettings)
  const body =
    values.body === undefined ? null : await readBodyFile(values.body, settings.bodyMaxBytes, context)
  const contentType = values['content-type'] ?? (body === null ? null : 'application/json')
  const token = await withTokenDatabase(settings.databaseUrl, (db) => findToken(db, id))
  if (token === null) throw new CommandFailure(`there is no token ${id}`)
  const explanation = await explainFor(token, { method, target, contentType, body }, settings, context)
  if (values.json === true) context.print(JSON.stringify(explanation) + '\n')
  else context.print(formatTable(listFields(explanation)))
  return explanation.decision === 'allowed' ? 0 : 1
}

/** As the gateway has them. */
interface ExplainSettings extends IssueConfiguration {
  readonly versions: 'auto' | readonly number[]
  readonly bodyMaxBytes: number
}

function readSettings(env: Environment, problems: string[]): ExplainSettings {
  return {
    ...readIssueConfiguration(env, problems),
    versions: readVersionSetting(env, problems),
    bodyMaxBytes: readBodyMaxBytes(env, problems),
  }
}

async function explainFor(
  token: RegisteredToken,
  question: Question,
  settings: ExplainSettings,
  context: CommandContext,
): Promise<Explanation> {
  const caller = judgeTokenRecord(readRecord(token), {
    now: context.clock,
    deniedUsers: settings.deniedUsers,
    areAdminScopesOn: settings.areAdminScopesOpen,
  })
  const judgeOwnCall = createOwnPathJudge(settings)
  if (readText(context.env, 'SLURMRESTD_URL') === null) {
    return await explain({ judge: createLonelyJudge(settings, context), judgeOwnCall }, caller, question)
  }
  const canLook = !isKeyElsewhere(context.env)
  if (!canLook) context.note(`${KEY_ELSEWHERE}: no job is looked at`)
  return await withSlurmrestd(context, settings.deniedUsers, ({ send, findVersions }) => {
    const checkJobs = canLook
      ? createJobCheck(send, context.clock)
      : () => Promise.reject(new Outage('job_check_failed', KEY_ELSEWHERE))
    const { bodyMaxBytes } = settings
    const judge = createJudge({ bodyMaxBytes, areWritesBound: false, findVersions, checkJobs })
    return explain({ judge, judgeOwnCall }, caller, question)
  })
}

const ALL_VERSIONS = Array.from(
  { length: NEWEST_VERSION - OLDEST_VERSION + 1 },
  (_, index) => OLDEST_VERSION + index,
)

/** Without slurmrestd: looks at no job, and does not guess which version is the newest of those that are served. */
function createLonelyJudge({ versions, bodyMaxBytes }: ExplainSettings, context: CommandContext): Judge {
  const reason = 'SLURMRESTD_URL is not set'
  const judge = createJudge({
    bodyMaxBytes,
    areWritesBound: false,
    findVersions: () => Promise.resolve(versions === 'auto' ? ALL_VERSIONS : versions),
    checkJobs: () => Promise.reject(new Outage('job_check_failed', reason)),
  })
  if (versions !== 'auto') {
    context.note(`${reason}: no job is looked at`)
    return judge
  }
  context.note(`${reason}: every numbered API version counts as served, and no job is looked at`)
  return (request, principal, onOperation) =>
    isLatestPath(request.segments)
      ? Promise.reject(new Outage('versions_unknown', reason))
      : judge(request, principal, onOperation)
}

function readRecord(token: RegisteredToken) {
  const seconds = (date: Date | null): number | null =>
    date === null ? null : Math.floor(date.getTime() / 1000)
  return { ...token, expiresAt: seconds(token.expiresAt), revokedAt: seconds(token.revokedAt) }
}

/** Only what is known: a line each. */
function listFields(explanation: Explanation): string[][] {
  const rows: string[][] = []
  for (const [name, value] of Object.entries(explanation) as [string, Explanation[keyof Explanation]][]) {
    const text = Array.isArray(value) ? value.join(', ') : writeField(value as FieldValue)
    if (text !== '') rows.push([name.replaceAll('_', ' '), text])
  }
  return rows
}

type FieldValue = string | number | null | { readonly method: string; readonly target: string }

function writeField(value: FieldValue): string {
  if (value === null) return ''
  return typeof value === 'object' ? `${value.method} ${value.target}` : String(value)
}
