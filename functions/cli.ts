#!/usr/bin/env node
/**
 * The `slurmgate` command: finds the command that was asked for and turns its outcome into an exit code. Reads
 * argv, environment and streams here and nowhere else; never prints a token but a new one, on stdout.
 */

import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { fileURLToPath } from 'node:url'
import { Outage } from '../src/refusal.ts'
import { describeDatabaseError } from '../src/tokens/database-error.ts'
import {
  type Command,
  type CommandContext,
  CommandFailure,
  type ExitCode,
  UsageError,
} from './cli/command.ts'
import { migrateDatabase } from './cli/db.ts'
import { list, revoke, show } from './cli/token.ts'
import { issue } from './cli/token-issue.ts'
import { rotate } from './cli/token-rotate.ts'
import { USAGE } from './cli/usage.ts'

const COMMANDS: Readonly<Record<string, Command>> = {
  'token issue': issue,
  'token list': list,
  'token show': show,
  'token revoke': revoke,
  'token rotate': rotate,
  'db migrate': migrateDatabase,
}

/** Brings in the gateway's settings and adapters, so it is loaded only when asked for. */
const diagnose: Command = async (args, context) =>
  await (await import('./cli/doctor.ts')).diagnose(args, context)

/** Likewise. */
const explainRequest: Command = async (args, context) =>
  await (await import('./cli/explain.ts')).explainRequest(args, context)

/** Services: they keep the process; loaded only when asked for. */
const SERVICES: Readonly<Record<string, () => Promise<unknown>>> = {
  gateway: async () => (await import('./gateway.ts')).runGateway(process.env),
  verifier: async () => (await import('./verifier.ts')).runVerifier(process.env),
}

/** @returns null while a service runs. */
async function main(args: readonly string[], context: CommandContext): Promise<ExitCode | null> {
  const [noun = '', verb = ''] = args
  if (noun === '--version') return await printVersion(context)
  if (args.includes('--help') || noun === 'help') {
    context.print(USAGE)
    return 0
  }
  const service = findOwn(SERVICES, noun)
  if (service !== null && args.length === 1) {
    return await runService(service, context)
  }
  if (noun === 'explain') return await runCommand(explainRequest, args.slice(1), context)
  if (noun === 'doctor') return await runCommand(diagnose, args.slice(1), context)
  const command = findOwn(COMMANDS, `${noun} ${verb}`)
  if (command === null) {
    context.note(USAGE)
    return 2
  }
  return await runCommand(command, args.slice(2), context)
}

/** A service reports its bad settings itself and sets the exit code; it throws where it cannot start. */
async function runService(
  service: () => Promise<unknown>,
  context: CommandContext,
): Promise<ExitCode | null> {
  try {
    await service()
    return null
  } catch (error) {
    context.note(`slurmgate: ${error instanceof Error ? error.message : 'the service failed'}`)
    return 1
  }
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

function findOwn<T>(table: Readonly<Record<string, T>>, key: string): T | null {
  return Object.hasOwn(table, key) ? (table[key] ?? null) : null
}

async function printVersion(context: CommandContext): Promise<ExitCode> {
  const text = await readFile(new URL('../package.json', import.meta.url), 'utf8')
  const { version } = JSON.parse(text) as { version: string }
  context.print(`${version}\n`)
  return 0
}

async function readStdin(maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of process.stdin as AsyncIterable<Uint8Array>) {
    chunks.push(chunk)
    length += chunk.length
    if (length > maxBytes) break
  }
  return new Uint8Array(Buffer.concat(chunks))
}

/** Containers run as uids without a name. */
function readUserName(): string {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`
  }
}

/** `dist/cli.js` and `functions/cli.ts` both have the migrations one folder up. */
function buildContext(): CommandContext {
  return {
    env: process.env,
    isTerminal: process.stdout.isTTY,
    userName: readUserName(),
    clock: Date.now,
    randomBytes: (length) => randomBytes(length),
    migrationsFolder: fileURLToPath(new URL('../migrations', import.meta.url)),
    print: (text) => process.stdout.write(text),
    note: (line) => process.stderr.write(line.endsWith('\n') ? line : `${line}\n`),
    readStdin,
  }
}

// A reader that is gone (`… | head -1`) is no reason for a stack trace; but what it did not read was not delivered.
process.stdout.on('error', () => process.exit(1))

const exitCode = await main(process.argv.slice(2), buildContext())
if (exitCode !== null) {
  // A connection to a Postgres that went silent would keep the process; what was printed is written out first.
  process.stdout.write('', () => process.stderr.write('', () => process.exit(exitCode)))
}
