/** The command line within the test's own process: the exit code, and what it would print on either stream. */

import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import type { ExitCode } from '../../functions/cli/command.ts'
import { runCli as run } from '../../functions/cli/run.ts'
import type { Environment } from '../../src/environment.ts'
import type { FindUid } from '../../src/tokens/identity-drift.ts'

export interface CliOptions {
  /** All of it. Default: empty. */
  readonly environment?: Environment
  /** Whole stdin. Default: empty. */
  readonly input?: string | Uint8Array
  /** Default: stdout is a pipe. */
  readonly isTerminal?: boolean
  readonly lookUpMilliseconds?: number
  /** Default: everybody is uid 6001. */
  readonly findUid?: FindUid
}

export const findAnyUid: FindUid = (name) => Promise.resolve({ uid: 6001, nameOfUid: name })

export interface CliOutcome {
  readonly exitCode: ExitCode
  readonly stdout: string
  readonly stderr: string
}

/** Whom the process runs as, where no variable names anybody. */
export const USER_NAME = 'system-user'

const PACKAGE_FOLDER = fileURLToPath(new URL('../..', import.meta.url))

export async function runCli(parameters: readonly string[], options: CliOptions = {}): Promise<CliOutcome> {
  const { environment = {}, input = '', isTerminal = false, lookUpMilliseconds } = options
  const stdout: string[] = []
  const stderr: string[] = []
  const exitCode = await run(parameters, {
    env: environment,
    isTerminal,
    userName: USER_NAME,
    clock: Date.now,
    randomBytes: (length) => randomBytes(length),
    findUid: options.findUid ?? findAnyUid,
    packageFolder: PACKAGE_FOLDER,
    ...(lookUpMilliseconds === undefined ? {} : { lookUpMilliseconds }),
    print: (text) => stdout.push(text),
    note: (line) => stderr.push(line.endsWith('\n') ? line : `${line}\n`),
    readStdin: () => Promise.resolve(new Uint8Array(Buffer.from(input))),
  })
  return { exitCode, stdout: stdout.join(''), stderr: stderr.join('') }
}
