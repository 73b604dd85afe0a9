/**
 * What every command of the CLI is: a function from arguments to an exit code. The process itself (argv, streams,
 * environment) is handed in, so that a command can be run in a test as it is.
 */

import { parseArgs, type ParseArgsConfig } from 'node:util'
import type { Environment } from '../../src/environment.ts'
import type { Clock, RandomBytes } from '../../src/ports.ts'
import type { FindUid } from '../../src/tokens/identity-drift.ts'

type OptionsTable = NonNullable<ParseArgsConfig['options']>

/** 0: done. 1: refused or failed. 2: not understood, or the configuration is bad. */
export type ExitCode = 0 | 1 | 2

export interface CommandContext {
  readonly env: Environment
  /** True when stdout is a terminal: a person reads it. */
  readonly isTerminal: boolean
  /** Whom the process runs as, in the system's words. */
  readonly userName: string
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  /** As this host knows its users. */
  readonly findUid: FindUid
  /** Holds `package.json` and `migrations`. */
  readonly packageFolder: string
  /** Until `token issue` has found out about the token's user, or does without. Default 10,000. */
  readonly lookUpMilliseconds?: number
  /** The result, and nothing else. */
  print(text: string): void
  /** Notes and errors: one line each, never a token. */
  note(line: string): void
  /** Up to `maxBytes`, and then some where stdin has more. */
  readStdin(maxBytes: number): Promise<Uint8Array<ArrayBuffer>>
}

export type Command = (args: readonly string[], context: CommandContext) => Promise<ExitCode>

/** The command was not understood or the configuration is bad: exit 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
  readonly lines: readonly string[]

  /** @param lines without any value that may be secret. */
  constructor(...lines: readonly string[]) {
    super(lines.join('\n'))
    this.lines = lines
  }
}

/** The command was understood, and the answer is no: exit 1. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure'
}

/**
 * `parseArgs`, strict, and without its habit of taking the last of several.
 *
 * @throws UsageError
 */
export function parseOptions<const T extends OptionsTable>(
  args: readonly string[],
  options: T,
  positionalCount = 0,
) {
  const parsed = parseStrictly(args, options)
  const seen = new Set<string>()
  for (const token of parsed.tokens) {
    if (token.kind !== 'option') continue
    if (seen.has(token.name) && options[token.name]?.multiple !== true) {
      throw new UsageError(`--${token.name} is given twice`)
    }
    seen.add(token.name)
  }
  if (parsed.positionals.length > positionalCount)
    throw new UsageError('there are more arguments than expected')
  if (parsed.positionals.length < positionalCount) throw new UsageError('an argument is missing')
  return parsed
}

function parseStrictly<const T extends OptionsTable>(args: readonly string[], options: T) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true, tokens: true })
  } catch (error) {
    // The message may repeat an argument; a token pasted there by mistake goes no further.
    const code = error instanceof Error && 'code' in error ? error.code : null
    if (code === 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE') throw new UsageError(readOptionError(error))
    throw new UsageError('there is an unknown option')
  }
}

/** Names the option, which the message quotes first, and never its value. */
function readOptionError(error: unknown): string {
  const option =
    error instanceof Error ? /^Option '(?:-\w, )?(--[a-z-]+)/.exec(error.message)?.[1] : undefined
  return option === undefined
    ? 'an option lacks its value'
    : `${option} is given wrongly: does it take a value?`
}
