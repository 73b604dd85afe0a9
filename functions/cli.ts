#!/usr/bin/env node
/**
 * The `slurmgate` command: starts a service, or runs a command and ends with its exit code. Reads argv, environment and
 * streams here and nowhere else.
 */

import { randomBytes } from 'node:crypto'
import { userInfo } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { CommandContext, ExitCode } from './cli/command.ts'
import { createUidService } from './node/uid-service.ts'

/** Services: they keep the process. As the commands, loaded only when asked for. */
const SERVICES: ReadonlyMap<string, () => Promise<void>> = new Map([
  ['gateway', async () => (await import('./gateway.ts')).runGateway(process.env)],
  ['verifier', async () => (await import('./verifier.ts')).runVerifier(process.env)],
])

/** @returns null while a service runs. */
async function main(args: readonly string[], context: CommandContext): Promise<ExitCode | null> {
  const service = args.length === 1 ? SERVICES.get(args[0] ?? '') : undefined
  if (service === undefined) return (await import('./cli/run.ts')).runCli(args, context)
  try {
    await service()
    return null
  } catch (error) {
    // A service reports its bad settings itself and sets the exit code; it throws where it cannot start.
    context.note(`slurmgate: ${error instanceof Error ? error.message : 'the service failed'}`)
    return 1
  }
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

/** `dist/cli.js` and `functions/cli.ts` are both one folder below the package's own. */
function buildContext(): CommandContext {
  return {
    env: process.env,
    isTerminal: process.stdout.isTTY,
    userName: readUserName(),
    clock: Date.now,
    randomBytes: (length) => randomBytes(length),
    findUid: createUidService({ clock: Date.now }),
    packageFolder: fileURLToPath(new URL('..', import.meta.url)),
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
  process.stdout.write('', (lost) => process.stderr.write('', () => process.exit(lost ? 1 : exitCode)))
}
