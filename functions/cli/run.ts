/**
 * One command of the command line, from its arguments to its exit code: finds it, runs it, and tells a failure in words
 * without secrets. Knows no process and no service.
 */

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Outage } from '../../src/refusal.ts'
import { describeDatabaseError } from '../../src/tokens/database-error.ts'
import { type Command, type CommandContext, CommandFailure, type ExitCode, UsageError } from './command.ts'
import { grantRights } from './db-grants.ts'
import { sealDatabase } from './db-seal.ts'
import { migrateDatabase } from './db.ts'
import { makeSignerKey, printSignerKey } from './signer-key.ts'
import { makeSlurmKey, printSlurmKey } from './slurm-key.ts'
import { revoke, show } from './token.ts'
import { issue } from './token-issue.ts'
import { list } from './token-list.ts'
import { rotate } from './token-rotate.ts'
import { USAGE } from './usage.ts'

const COMMANDS: ReadonlyMap<string, Command> = new Map([
  ['token issue', issue],
  ['token list', list],
  ['token show', show],
  ['token revoke', revoke],
  ['token rotate', rotate],
  ['db migrate', migrateDatabase],
  ['db grants', grantRights],
  ['signer-key new', makeSignerKey],
  ['signer-key public', printSignerKey],
  ['slurm-key new', makeSlurmKey],
  ['slurm-key public', printSlurmKey],
  ['db seal', sealDatabase],
])

/** Brings in the gateway's settings and adapters, so it is loaded only when asked for. */
const diagnose: Command = async (args, context) => await (await import('./doctor.ts')).diagnose(args, context)

/** Likewise. */
const explainRequest: Command = async (args, context) =>
  await (await import('./explain.ts')).explainRequest(args, context)

/** Likewise. */
const printMungeHeader: Command = async (args, context) =>
  await (await import('./munge-header.ts')).printMungeHeader(args, context)

/** @param args what follows the program's name. */
export async function runCli(args: readonly string[], context: CommandContext): Promise<ExitCode> {
  const [noun = '', verb = ''] = args
  if (noun === '--version') return await printVersion(context)
  if (args.includes('--help') || noun === 'help') {
    context.print(USAGE)
    return 0
  }
  if (noun === 'explain') return await runCommand(explainRequest, args.slice(1), context)
  if (noun === 'munge-header') return await runCommand(printMungeHeader, args.slice(1), context)
  if (noun === 'doctor') return await runCommand(diagnose, args.slice(1), context)
  const command = COMMANDS.get(`${noun} ${verb}`)
  if (command === undefined) {
    context.note(USAGE)
    return 2
  }
  return await runCommand(command, args.slice(2), context)
}

async function runCommand(
  command: Command,
  args: readonly string[],
  context: CommandContext,
): Promise<ExitCode> {
  try {
    return await command(args, context)
  } catch (error) {
    const [code, text] = describeFailure(error)
    for (const line of text.split('\n')) context.note(`slurmgate: ${line}`)
    if (code === 2) context.note('see: slurmgate --help')
    return code
  }
}

/** Text without secrets: a foreign error's own message may hold the connection string. */
function describeFailure(error: unknown): readonly [ExitCode, string] {
  if (error instanceof UsageError) return [2, error.message]
  if (error instanceof CommandFailure || error instanceof Outage) return [1, error.message]
  return [1, describeDatabaseError(error)]
}

async function printVersion(context: CommandContext): Promise<ExitCode> {
  const text = await readFile(join(context.packageFolder, 'package.json'), 'utf8')
  const { version } = JSON.parse(text) as { version: string }
  context.print(`${version}\n`)
  return 0
}
