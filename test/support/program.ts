/** A program under test: started with exactly the environment given, everything it prints kept, never left behind. */

import { spawn, type ChildProcess } from 'node:child_process'

export interface ProgramOptions {
  readonly environment?: Readonly<Record<string, string | undefined>>
  readonly input?: string | Uint8Array
}

const KILL_AFTER_MILLISECONDS = 4_000
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export class Program {
  readonly #child: ChildProcess
  readonly #stdout: string[] = []
  readonly #stderr: string[] = []
  /** The exit code; 128 + signal number is not imitated: a signal gives null. Rejects when it cannot be started. */
  readonly exit: Promise<number | null>
  isRunning = true

  constructor(command: string, parameters: readonly string[], options: ProgramOptions = {}) {
    const { environment = {}, input } = options
    const env = Object.fromEntries(
      Object.entries({ PATH: process.env['PATH'], HOME: process.env['HOME'], ...environment }).filter(
        (entry): entry is [string, string] => entry[1] !== undefined,
      ),
    )
    this.#child = spawn(command, parameters, { env, stdio: ['pipe', 'pipe', 'pipe'] })
    running.add(this.#child)
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#stdout.push(text))
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => this.#stderr.push(text))
    this.#child.stdin?.on('error', () => undefined)
    this.#child.stdin?.end(input ?? '')
    this.exit = new Promise((resolve, reject) => {
      this.#child.once('error', reject)
      this.#child.once('close', (code) => {
        running.delete(this.#child)
        this.isRunning = false
        resolve(code)
      })
    })
    this.exit.catch(() => undefined)
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get stdout(): string {
    return this.#stdout.join('')
  }

  get stderr(): string {
    return this.#stderr.join('')
  }

  /** Both streams, line by line. */
  get lines(): string[] {
    return `${this.stdout}\n${this.stderr}`.split('\n').filter((line) => line !== '')
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (!this.isRunning) return
    this.#child.kill(signal)
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), KILL_AFTER_MILLISECONDS)
    await this.exit.catch(() => undefined)
    clearTimeout(timer)
  }
}

/** Runs a program to its end. @throws with its error output when the exit code is not 0. */
export async function runProgram(
  command: string,
  parameters: readonly string[],
  options: ProgramOptions & { readonly timeoutMilliseconds?: number } = {},
): Promise<string> {
  const program = new Program(command, parameters, options)
  const timer = setTimeout(() => void program.stop('SIGKILL'), options.timeoutMilliseconds ?? 120_000)
  const code = await program.exit
  clearTimeout(timer)
  if (code !== 0) {
    throw new Error(`${command} ${parameters.slice(0, 3).join(' ')}: exit ${String(code)}: ${program.stderr}`)
  }
  return program.stdout
}

/** Repeats a probe until it holds. @throws with `what` after the time limit. */
export async function waitUntil(
  what: string,
  probe: () => boolean | Promise<boolean>,
  timeoutMilliseconds = 60_000,
): Promise<void> {
  const until = Date.now() + timeoutMilliseconds
  while (Date.now() < until) {
    if (await probe()) return
    await sleep(50)
  }
  throw new Error(`not within ${String(timeoutMilliseconds / 1000)} s: ${what}`)
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
