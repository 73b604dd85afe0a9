/** A real munged of the test's own (key, socket and all), and credentials made on it as some user. */

import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { Program, runProgram, waitUntil } from './program.ts'

export interface MungeDaemonOptions {
  /** An own directory; must be reachable by every user credentials are made as. */
  readonly directory: string
  /** The "host" credentials say they were made on; null: what munged itself makes of its host's name. */
  readonly originAddress: string | null
  /** What the command begins with, to run it on another host. */
  readonly prefix?: readonly string[]
  readonly key: Uint8Array
  /** Program and first parameters. Default: `munged` on the PATH. */
  readonly command?: readonly string[]
}

export class MungeDaemon {
  readonly socketPath: string
  readonly #command: readonly string[]
  readonly #keyPath: string
  #program: Program | null = null
  #printed: string[] = []

  private constructor({
    directory,
    originAddress,
    prefix = [],
    key,
    command = ['munged'],
  }: MungeDaemonOptions) {
    mkdirSync(directory, { recursive: true })
    chmodSync(directory, 0o755)
    this.socketPath = join(directory, 'munge.socket')
    this.#keyPath = join(directory, 'munge.key')
    writeFileSync(this.#keyPath, key, { mode: 0o600 })
    this.#command = [
      ...prefix,
      ...command,
      '--foreground',
      `--key-file=${this.#keyPath}`,
      `--socket=${this.socketPath}`,
      `--pid-file=${join(directory, 'munged.pid')}`,
      `--log-file=${join(directory, 'munged.log')}`,
      `--seed-file=${join(directory, 'munged.seed')}`,
      ...(originAddress === null ? [] : [`--origin=${originAddress}`]),
    ]
  }

  static async start(options: MungeDaemonOptions): Promise<MungeDaemon> {
    const daemon = new MungeDaemon(options)
    await daemon.start()
    return daemon
  }

  async start(): Promise<void> {
    const [command = '', ...parameters] = this.#command
    const program = new Program(command, parameters)
    this.#program = program
    await waitUntil('munged answers on its socket', async () => {
      if (!program.isRunning) throw new Error(`munged ended: ${program.stderr}`)
      return isListening(this.socketPath)
    })
  }

  /** As an outage: killed, its socket left behind. What it remembered of replays is gone. */
  async kill(): Promise<void> {
    if (this.#program === null) return
    await this.#program.stop('SIGKILL')
    this.#printed.push(...this.#program.lines)
    this.#program = null
  }

  async stop(): Promise<void> {
    await this.kill()
    rmSync(this.socketPath, { force: true })
    rmSync(`${this.socketPath}.lock`, { force: true })
  }

  get lines(): readonly string[] {
    return [...this.#printed, ...(this.#program?.lines ?? [])]
  }

  /** Hung, not gone: connections are taken by the kernel and nobody answers. */
  freeze(): void {
    if (this.#program !== null) process.kill(this.#program.pid, 'SIGSTOP')
  }

  thaw(): void {
    if (this.#program !== null) process.kill(this.#program.pid, 'SIGCONT')
  }

  /**
   * @param uid null: the user the tests run as.
   * @param parameters of `munge`, such as `-n -t 5`.
   * @param payload what `munge` reads from stdin, where the parameters name none.
   */
  async makeCredential(
    parameters: readonly string[],
    uid: number | null,
    payload?: Uint8Array,
  ): Promise<string> {
    const command = ['munge', `--socket=${this.socketPath}`, ...parameters]
    const [program = '', ...rest] = asUser(uid, command)
    return (await runProgram(program, rest, payload === undefined ? {} : { input: payload })).trimEnd()
  }
}

/** @param uid null: the user the tests run as. @returns the command that runs `command` as that user. */
export function asUser(uid: number | null, command: readonly string[]): readonly string[] {
  if (uid === null || uid === process.getuid?.()) return command
  return ['setpriv', `--reuid=${String(uid)}`, `--regid=${String(uid)}`, '--clear-groups', ...command]
}

export function buildMungeKey(): Buffer {
  return randomBytes(128)
}

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => {
      resolve(false)
    })
  })
}
