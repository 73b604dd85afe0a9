/** `slurmgate db seal`: seals the rows of before, renews those of an older key, and finds the rows whose seal is wrong. */

import type { Database } from '../../src/tokens/database.ts'
import {
  checkSeals,
  sealOneRow,
  sealRows,
  type KeyedPorts,
  type SealFinding,
} from '../../src/tokens/seal-rows.ts'
import { readTokenState } from '../../src/tokens/token-register.ts'
import {
  type Command,
  CommandFailure,
  type CommandContext,
  type ExitCode,
  parseOptions,
  UsageError,
} from './command.ts'
import { readStoreConfiguration, requireSettings, withTokenDatabase } from './configuration.ts'
import { describeRefusedChange } from './seal-problem.ts'
import { cleanCell, formatDate, formatTable } from './table.ts'
import { requireId } from './token.ts'

const OPTIONS = {
  check: { type: 'boolean' },
  id: { type: 'string' },
  reseal: { type: 'boolean' },
  json: { type: 'boolean' },
} as const

const HEADINGS = ['ID', 'NAME', 'USER', 'STATE', 'SEAL'] as const

export const sealDatabase: Command = async (args, context) => {
  const { values } = parseOptions(args, OPTIONS)
  const { id, check = false, reseal = false, json = false } = values
  if (check && (id !== undefined || reseal)) throw new UsageError('--check takes neither --id nor --reseal')
  if (reseal && id === undefined) throw new UsageError('--reseal is for one row: name it with --id')
  const { databaseUrl, seals } = requireSettings(context.env, readStoreConfiguration)
  if (seals === null) throw new UsageError('TOKEN_KEY_FILE is required')
  const ports = { clock: context.clock, seals }
  const task: Task = { ports, json, context }
  return await withTokenDatabase(databaseUrl, async (db) => {
    if (check) return await checkAll(db, task)
    return id === undefined ? await sealAll(db, task) : await sealOne(db, requireId(id), reseal, task)
  })
}

interface Task {
  readonly ports: KeyedPorts
  readonly json: boolean
  readonly context: CommandContext
}

async function checkAll(db: Database, { ports, json, context }: Task): Promise<ExitCode> {
  const { findings, rowsByKey } = await checkSeals(db, ports.seals)
  const described = describe(findings, context)
  if (json) context.print(JSON.stringify({ findings: described, rows_by_key: rowsByKey }) + '\n')
  else {
    const rows = described.map(({ id, name, user, state, seal }) => [id, name, user, state, seal])
    const intact = 'every row is sealed and as it was sealed\n'
    context.print(rows.length === 0 ? intact : formatTable([HEADINGS, ...rows]))
    if (rowsByKey.length > 1) context.print(formatTable(rowsByKey.map(describeKey)))
  }
  return findings.length === 0 ? 0 : 1
}

/** By its place in `TOKEN_KEY_FILE`: of a key itself nothing is shown. */
function describeKey(rows: number, index: number): readonly string[] {
  const place = `key ${index + 1} of TOKEN_KEY_FILE`
  if (index === 0) return [place, count(rows), 'seals']
  return [place, count(rows), rows === 0 ? 'no row needs it' : 'next: slurmgate db seal']
}

/** Fails where rows were left alone: they are of no use to whoever believes sealed rows only. */
async function sealAll(db: Database, { ports, json, context }: Task): Promise<ExitCode> {
  const { sealed, renewed, findings } = await sealRows(db, ports)
  if (json) {
    context.print(JSON.stringify({ sealed, renewed, left_alone: describe(findings, context) }) + '\n')
  } else {
    context.print(`sealed ${count(sealed)}`)
    context.print(renewed === 0 ? '\n' : `, renewed ${count(renewed)} of an older key\n`)
  }
  if (findings.length === 0) return 0
  throw new CommandFailure(`${count(findings.length)} left alone; which, says: slurmgate db seal --check`)
}

async function sealOne(
  db: Database,
  id: string,
  isVouchedFor: boolean,
  { ports, json, context }: Task,
): Promise<ExitCode> {
  const sealed = await sealOneRow(db, id, isVouchedFor, ports)
  if (sealed === null) throw new CommandFailure(`there is no token ${id}`)
  const { token, outcome } = sealed
  if (outcome === 'altered' || outcome === 'too_old') {
    const way = `; to vouch for it as it stands there: slurmgate db seal --id ${id} --reseal`
    throw new CommandFailure(describeRefusedChange(id, outcome) + way)
  }
  if (outcome === 'unsealable') throw new CommandFailure(`${id} has a value that no token has: revoke it`)
  if (json) context.print(JSON.stringify({ id, outcome }) + '\n')
  else if (outcome === 'intact') context.print(`${id} was sealed before\n`)
  else {
    // Of the very row that was sealed: somebody may have changed it since it was looked at.
    const { name, slurmUser, uid, account, scopes, expiresAt } = token
    const who = `${cleanCell(name)}, ${cleanCell(slurmUser)} (uid ${uid ?? 'unknown'}), account ${cleanCell(account ?? '(any)')}`
    const what = `${cleanCell(scopes.join(','))}, ends ${formatDate(expiresAt, 'never')}`
    context.print(`sealed ${id}: ${who}, ${what}\n`)
  }
  return 0
}

function describe(findings: readonly SealFinding[], { clock }: CommandContext) {
  return findings.map(({ token, problem }) => ({
    id: token.id,
    name: token.name,
    user: token.slurmUser,
    state: readTokenState(token, clock),
    seal: problem,
  }))
}

function count(rows: number): string {
  return rows === 1 ? '1 row' : `${rows} rows`
}
