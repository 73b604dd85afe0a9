/**
 * `slurmgate token list`: what was issued, newest first. A page at a time on a terminal; on a pipe everything, written
 * as it is read: however many tokens there are, it holds one portion of them.
 */

import type { Database } from '../../src/tokens/database.ts'
import {
  findPosition,
  type ListQuestion,
  listTokens,
  readTokenState,
  type RegisteredToken,
} from '../../src/tokens/token-register.ts'
import { type Command, CommandFailure, type CommandContext, parseOptions, UsageError } from './command.ts'
import { requireDatabaseUrl, withTokenDatabase } from './configuration.ts'
import { createTable, formatDate } from './table.ts'
import { describeToken, requireId } from './token.ts'

const OPTIONS = {
  user: { type: 'string' },
  active: { type: 'boolean' },
  limit: { type: 'string' },
  after: { type: 'string' },
  json: { type: 'boolean' },
} as const

const HEADINGS = ['ID', 'NAME', 'USER', 'ACCOUNT', 'SCOPES', 'STATE', 'EXPIRES'] as const

const TERMINAL_PAGE_ROWS = 100
const PAGE_ROWS_MAX = 10_000
/** Some 500 KB of JSON. */
const PORTION_ROWS = 1_000

export const list: Command = async (args, context) => {
  const { values } = parseOptions(args, OPTIONS)
  const { json = false, user, active = false } = values
  const limit = values.limit === undefined ? null : requireLimit(values.limit)
  const after = values.after === undefined ? null : requireId(values.after)
  const pageRows = limit ?? (context.isTerminal && !json ? TERMINAL_PAGE_ROWS : null)
  const writer = json ? createJsonWriter(context) : createTableWriter(context)
  const lastId = await withTokenDatabase(requireDatabaseUrl(context.env), async (db) => {
    const question = {
      after: after === null ? null : await requirePosition(db, after),
      slurmUser: user ?? null,
      activeAt: active ? context.clock() : null,
    }
    return await writePage(db, question, pageRows, writer)
  })
  if (lastId !== null) {
    const options = [
      ...(user === undefined ? [] : ['--user', user]),
      ...(active ? ['--active'] : []),
      ...(limit === null ? [] : ['--limit', String(limit)]),
      ...(json ? ['--json'] : []),
    ]
    context.note(['more: slurmgate token list', ...options, '--after', lastId].join(' '))
  }
  return 0
}

/** @returns the last token of the page where there are more; null: these were all. */
async function writePage(
  db: Database,
  question: Omit<ListQuestion, 'portionRows'>,
  pageRows: number | null,
  writer: Writer,
): Promise<string | null> {
  let left = pageRows ?? Number.POSITIVE_INFINITY
  let lastId: string | null = null
  // One more than the page has, to know whether there is one.
  for await (const tokens of listTokens(db, { ...question, portionRows: Math.min(PORTION_ROWS, left + 1) })) {
    const page = tokens.slice(0, left)
    writer.write(page)
    lastId = page.at(-1)?.id ?? lastId
    if (tokens.length > left) {
      writer.end()
      return lastId
    }
    left -= tokens.length
  }
  writer.end()
  return null
}

interface Writer {
  write(tokens: readonly RegisteredToken[]): void
  end(): void
}

/** One array on one line. Where a portion cannot be read it stays without its end: no program takes it for the whole. */
function createJsonWriter(context: CommandContext): Writer {
  let separator = '['
  return {
    write(tokens) {
      for (const token of tokens) {
        context.print(separator + JSON.stringify(describeToken(token, context.clock)))
        separator = ','
      }
    },
    end() {
      context.print(separator === '[' ? '[]\n' : ']\n')
    },
  }
}

function createTableWriter(context: CommandContext): Writer {
  const format = createTable()
  let headings: readonly (readonly string[])[] = [HEADINGS]
  const write = (tokens: readonly RegisteredToken[]): void => {
    const rows = tokens.map((token) => [
      token.id,
      token.name,
      token.slurmUser,
      token.account ?? '(any)',
      token.scopes.join(','),
      readTokenState(token, context.clock),
      formatDate(token.expiresAt, 'never'),
    ])
    context.print(format([...headings, ...rows]))
    headings = []
  }
  return {
    write,
    end() {
      if (headings.length > 0) write([])
    },
  }
}

async function requirePosition(db: Database, id: string) {
  const position = await findPosition(db, id)
  if (position === null) throw new CommandFailure(`there is no token ${id}`)
  return position
}

function requireLimit(raw: string): number {
  const limit = /^[1-9][0-9]{0,4}$/.test(raw) ? Number(raw) : Number.NaN
  if (limit <= PAGE_ROWS_MAX) return limit
  throw new UsageError(`--limit takes a number from 1 to ${PAGE_ROWS_MAX}`)
}
