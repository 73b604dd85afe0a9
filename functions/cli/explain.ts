/**
 * `slurmgate explain`: what the gate would decide on a request of an issued token, and by which rule. Forwards nothing;
 * the look at a job before a write is made where slurmrestd can be reached.
 */

import { readFile } from 'node:fs/promises'
import { judgeTokenRecord } from '../../src/authenticate.ts'
import { explain, type Explanation } from '../../src/explain.ts'
import { createJobCheck } from '../../src/job-check.ts'
import { createJudge, type JudgeOptions } from '../../src/judge.ts'
import { createOwnPathJudge } from '../../src/own-path.ts'
import { NEWEST_VERSION, OLDEST_VERSION } from '../../src/policy/route-table.ts'
import type { TokenPrincipal } from '../../src/principal.ts'
import type { Question } from '../../src/question.ts'
import { findRuleAnswer, isRefusal, Outage } from '../../src/refusal.ts'
import { isTokenId } from '../../src/tokens/token-id.ts'
import { findToken, type RegisteredToken } from '../../src/tokens/token-register.ts'
import { type Command, CommandFailure, type CommandContext, parseOptions, UsageError } from './command.ts'
import {
  type IssueConfiguration,
  readIssueConfiguration,
  requireSettings,
  withTokenDatabase,
} from './configuration.ts'
import { withSlurmrestd } from './slurmrestd.ts'
import { formatTable } from './table.ts'

const OPTIONS = {
  'token-id': { type: 'string' },
  body: { type: 'string' },
  'content-type': { type: 'string' },
  json: { type: 'boolean' },
} as const

/** The gateway's default. */
const BODY_MAX_BYTES = 8 * 1024 * 1024

/** @returns 0 where the request would be let through, 1 where it would not. */
export const explainRequest: Command = async (args, context) => {
  const { values, positionals } = parseOptions(args, OPTIONS, 2)
  const id = values['token-id']
  if (id === undefined || !isTokenId(id))
    throw new UsageError('--token-id needs the id of a token, such as tok_…')
  const [method = '', target = ''] = positionals
  if (!target.startsWith('/')) throw new UsageError('the path begins with a slash')
  const body = values.body === undefined ? null : await readBody(values.body, context)
  const contentType = values['content-type'] ?? (body === null ? null : 'application/json')
  const configuration = requireSettings(context.env, readIssueConfiguration)
  const token = await withTokenDatabase(configuration.databaseUrl, (db) => findToken(db, id))
  if (token === null) throw new CommandFailure(`there is no token ${id}`)
  const explanation = await explainFor(token, { method, target, contentType, body }, configuration, context)
  if (values.json === true) context.print(JSON.stringify(explanation) + '\n')
  else context.print(formatTable(listFields(explanation)))
  return explanation.decision === 'allowed' ? 0 : 1
}

async function readBody(file: string, context: CommandContext): Promise<Uint8Array<ArrayBuffer>> {
  if (file === '-') return new TextEncoder().encode(await context.readStdin(BODY_MAX_BYTES))
  const bytes = await readFile(file).catch(() => {
    throw new UsageError('the file of --body cannot be read')
  })
  return new Uint8Array(bytes)
}

async function explainFor(
  token: RegisteredToken,
  question: Question,
  configuration: IssueConfiguration,
  context: CommandContext,
): Promise<Explanation | TokenRefused> {
  const principal = judgeTokenRecord(readRecord(token), {
    now: context.clock,
    deniedUsers: configuration.deniedUsers,
    areAdminScopesOn: configuration.areAdminScopesOpen,
  })
  if (isRefusal(principal)) {
    const { status, description } = findRuleAnswer(principal.rule)
    return { decision: 'refused', rule: principal.rule, status, description }
  }
  if (context.env['SLURMRESTD_URL'] === undefined) {
    context.note('SLURMRESTD_URL is not set: every API version counts as served, and no job is looked at')
    return await explainAs(principal, question, {
      findVersions: () => Promise.resolve(ALL_VERSIONS),
      checkJobs: () => Promise.reject(new Outage('job_check_failed', 'SLURMRESTD_URL is not set')),
    })
  }
  return await withSlurmrestd(context, configuration.deniedUsers, (connection) => {
    const { send, findVersions } = connection
    return explainAs(principal, question, { findVersions, checkJobs: createJobCheck(send, context.clock) })
  })
}

/** The token itself would be refused, whatever the request. */
type TokenRefused = Pick<Explanation, 'decision' | 'rule' | 'status' | 'description'>

const ALL_VERSIONS = Array.from(
  { length: NEWEST_VERSION - OLDEST_VERSION + 1 },
  (_, index) => OLDEST_VERSION + index,
)

function explainAs(
  principal: TokenPrincipal,
  question: Question,
  options: Pick<JudgeOptions, 'findVersions' | 'checkJobs'>,
): Promise<Explanation> {
  const limits = { bodyMaxBytes: BODY_MAX_BYTES }
  const judges = { judge: createJudge({ ...options, ...limits }), judgeOwnCall: createOwnPathJudge(limits) }
  return explain(judges, principal, question)
}

function readRecord(token: RegisteredToken) {
  const seconds = (date: Date | null): number | null =>
    date === null ? null : Math.floor(date.getTime() / 1000)
  return { ...token, expiresAt: seconds(token.expiresAt), revokedAt: seconds(token.revokedAt) }
}

/** Only what is known: a line each. */
function listFields(explanation: Explanation | TokenRefused): string[][] {
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
