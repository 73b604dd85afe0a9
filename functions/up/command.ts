/**
 * Runs one command to its end. No shell stands in between, what it prints is collected (or handed on line by line), and it
 * dies with us: on Linux even when we are killed with SIGKILL.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'

export interface CommandResult {
  stdout: string
  stderr: string
  /** The exit code; 128 + n for a command that signal n ended, 127 for one that could not be started. */
  code: number
}

export interface CommandOptions {
  env?: NodeJS.ProcessEnv
  cwd?: string
  /** Text for standard input; without it standard input is empty. */
  input?: string
  /** Called with each complete line of standard output and standard error as it arrives. */
  onLine?: (line: string) => void
  timeoutSeconds?: number
  /** Ends the command early, with SIGKILL. */
  signal?: AbortSignal
}

const setprivPath = ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => existsSync(path))

/**
 * Prefixes a command so that the kernel ends it when the thread that started it ends (prctl(2), PR_SET_PDEATHSIG).
 * `identity` are further options of setpriv(1): they must go into the same call, for a change of user forgets that signal.
 */
export function dieWithParent(
  command: readonly string[],
  signal: 'TERM' | 'KILL' = 'KILL',
  identity: readonly string[] = [],
): string[] {
  return setprivPath === undefined
    ? [...command]
    : [setprivPath, ...identity, '--pdeathsig', signal, '--', ...command]
}

/** Runs the command and resolves with what it printed, whatever its exit code; never rejects. */
export function runCommand(command: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const [file = '', ...args] = dieWithParent(command)
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      env: options.env ?? process.env,
      cwd: options.cwd,
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true, // not in the terminal's process group: Ctrl-C reaches us, and we decide the order of the end
      ...(options.signal ? { signal: options.signal, killSignal: 'SIGKILL' as const } : {}),
    })
    const timer = options.timeoutSeconds
      ? setTimeout(() => child.kill('SIGKILL'), options.timeoutSeconds * 1000)
      : undefined
    const stdout = new LineCollector(options.onLine)
    const stderr = new LineCollector(options.onLine)
    child.stdout.on('data', (chunk: Buffer) => stdout.add(chunk))
    child.stderr.on('data', (chunk: Buffer) => stderr.add(chunk))
    child.stdin.on('error', () => undefined) // it did not read all of its input: its exit code tells the story
    child.stdin.end(options.input ?? '')
    let failure: Error | undefined
    child.on('error', (error) => {
      failure = error
      if (child.pid === undefined) finish(127)
    })
    child.on('close', (code, signal) => finish(code ?? 128 + (signal === 'SIGKILL' ? 9 : 15)))
    function finish(code: number): void {
      clearTimeout(timer)
      resolve({ stdout: stdout.text, stderr: stderr.text + (failure ? `${failure.message}\n` : ''), code })
    }
  })
}

/** Like `runCommand`, but throws with the command's last words when it fails. The command line itself is not repeated. */
export async function requireCommand(
  what: string,
  command: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const result = await runCommand(command, options)
  if (result.code === 0) return result.stdout
  const lastLines = `${result.stdout}\n${result.stderr}`.trim().split('\n').slice(-8).join('\n  ')
  throw new Error(`${what} failed (exit code ${result.code}):\n  ${lastLines}`)
}

class LineCollector {
  text = ''
  #rest = ''
  readonly #onLine: ((line: string) => void) | undefined

  constructor(onLine: ((line: string) => void) | undefined) {
    this.#onLine = onLine
  }

  add(chunk: Buffer): void {
    const text = chunk.toString('utf8')
    this.text += text
    if (!this.#onLine) return
    const lines = (this.#rest + text).split(/\r\n|\n|\r/)
    this.#rest = lines.pop() ?? ''
    for (const line of lines) if (line !== '') this.#onLine(line)
  }
}
