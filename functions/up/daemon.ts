/**
 * Starts one long-running program with its output in a log file, and stops it again: SIGTERM first, SIGKILL after a grace
 * time. It dies with us, even when we are killed.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dieWithParent } from './command.ts'

export interface DaemonOptions {
  /** The program's name in messages. */
  name: string
  command: readonly string[]
  /** Options of setpriv(1): whom it runs as, what it may. */
  identity?: readonly string[]
  /** Standard output and standard error go here; emptied at the start. */
  logFile: string
  env?: NodeJS.ProcessEnv
  cwd?: string
  stopSignal?: NodeJS.Signals
  graceSeconds?: number
}

export interface Daemon {
  readonly name: string
  readonly pid: number
  readonly logFile: string
  isRunning(): boolean
  /** Resolves when it has ended, for whatever reason. */
  readonly ended: Promise<void>
  /** Ends it and waits for that. Stopping twice is fine. */
  stop(): Promise<void>
}

/** Starts the program; throws when the program cannot be executed at all. Being ready is the caller's question. */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const [file = '', ...args] = dieWithParent(options.command, 'TERM', options.identity)
  const log = openSync(options.logFile, 'w', 0o600)
  const child = spawn(file, args, {
    env: options.env ?? process.env,
    cwd: options.cwd,
    stdio: ['ignore', log, log],
    detached: true,
  })
  closeSync(log)
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', reject)
  })
  return {
    name: options.name,
    pid: child.pid ?? 0,
    logFile: options.logFile,
    ended,
    isRunning: () => isAlive(child),
    stop: () => stopChild(child, ended, options.stopSignal ?? 'SIGTERM', options.graceSeconds ?? 5),
  }
}

function isAlive(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null
}

async function stopChild(
  child: ChildProcess,
  ended: Promise<void>,
  signal: NodeJS.Signals,
  graceSeconds: number,
): Promise<void> {
  if (!isAlive(child)) return
  child.kill(signal)
  const timer = setTimeout(() => child.kill('SIGKILL'), graceSeconds * 1000)
  await ended
  clearTimeout(timer)
}

export interface ReadinessOptions {
  timeoutSeconds: number
  pollMilliseconds?: number
  signal?: AbortSignal
}

/** Asks `isReady` again and again; throws with the daemon's last log lines when it ends or the time is up. */
export async function waitUntilReady(
  daemon: Pick<Daemon, 'name' | 'logFile' | 'isRunning'>,
  isReady: () => Promise<boolean>,
  { timeoutSeconds, pollMilliseconds = 50, signal }: ReadinessOptions,
): Promise<void> {
  const giveUpAt = performance.now() + timeoutSeconds * 1000
  for (;;) {
    signal?.throwIfAborted()
    if (!daemon.isRunning()) throw await describeFailure(daemon, 'ended while starting')
    if (await isReady()) return
    if (performance.now() > giveUpAt)
      throw await describeFailure(daemon, `is not ready after ${timeoutSeconds} s`)
    await new Promise((resolve) => setTimeout(resolve, pollMilliseconds))
  }
}

async function describeFailure(daemon: Pick<Daemon, 'name' | 'logFile'>, what: string): Promise<Error> {
  const log = await readFile(daemon.logFile, 'utf8').catch(() => '')
  const lastLines = log.trim().split('\n').slice(-10).join('\n  ')
  return new Error(`${daemon.name} ${what}. The end of ${daemon.logFile}:\n  ${lastLines}`)
}
