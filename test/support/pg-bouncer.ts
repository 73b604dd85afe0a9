/** A real PgBouncer in front of a test's Postgres: a database of its own name for each address behind it. */

import { chmodSync, chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findFreePort } from './free-port.ts'
import { Program, waitUntil } from './program.ts'

/** Where the tests' own one is unpacked, if the PATH has none. */
const UNPACKED = '/var/cache/slurmgate/pgbouncer'
/** It refuses to be root; every system has this user. */
const NOBODY = 65_534

export type PoolMode = 'session' | 'transaction'

export interface PgBouncerOptions {
  readonly mode: PoolMode
  /** Lines of its own section, beyond those of every test. */
  readonly settings?: readonly string[]
}

/** @returns null: none here. */
export function findPgBouncer(): string | null {
  const places = (process.env['PATH'] ?? '').split(':').concat('/usr/sbin', join(UNPACKED, 'usr/sbin'))
  return places.map((place) => join(place, 'pgbouncer')).find((path) => existsSync(path)) ?? null
}

export class PgBouncer {
  readonly #program: Program
  readonly #directory: string
  readonly #port: number

  private constructor(program: Program, directory: string, port: number) {
    this.#program = program
    this.#directory = directory
    this.#port = port
  }

  /** @param databases what each name stands for: user, password and all. */
  static async start(
    databases: Readonly<Record<string, string>>,
    { mode, settings = [] }: PgBouncerOptions,
  ): Promise<PgBouncer> {
    const directory = mkdtempSync(join(tmpdir(), 'slurmgate-pgbouncer-'))
    const port = await findFreePort()
    const file = join(directory, 'pgbouncer.ini')
    const lines = [
      '[databases]',
      ...Object.entries(databases).map(([name, url]) => `${name} = ${describeTarget(url)}`),
      '[pgbouncer]',
      `listen_addr = 127.0.0.1\nlisten_port = ${String(port)}\nunix_socket_dir =`,
      `auth_type = any\npool_mode = ${mode}`,
      ...settings,
    ]
    writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 })
    const isRoot = process.getuid?.() === 0
    if (isRoot) {
      chmodSync(directory, 0o755)
      chownSync(file, NOBODY, NOBODY)
    }
    const user = isRoot
      ? ['setpriv', `--reuid=${String(NOBODY)}`, `--regid=${String(NOBODY)}`, '--clear-groups']
      : []
    const [command, ...parameters] = [...user, findPgBouncer() ?? 'pgbouncer', file]
    const program = new Program(command, parameters, {
      environment: { LD_LIBRARY_PATH: findLibraries() },
    })
    await waitUntil('PgBouncer listens', async () => {
      if (!program.isRunning) throw new Error(`PgBouncer ended: ${program.stderr}`)
      return isListening(port)
    })
    return new PgBouncer(program, directory, port)
  }

  findUrl(name: string): string {
    return `postgres://anybody@127.0.0.1:${String(this.#port)}/${name}`
  }

  async stop(): Promise<void> {
    await this.#program.stop('SIGKILL')
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const tell = (isThere: boolean) => () => {
      socket.destroy()
      resolve(isThere)
    }
    socket.once('connect', tell(true)).once('error', tell(false))
  })
}

function describeTarget(url: string): string {
  const { hostname, port, pathname, username, password } = new URL(url)
  const [user, secret] = [decodeURIComponent(username), decodeURIComponent(password)]
  return `host=${hostname} port=${port} dbname=${pathname.slice(1)} user=${user} password=${secret}`
}

/** Of what is unpacked: Debian's name of this machine is one folder further down. */
function findLibraries(): string | undefined {
  const machine = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }[process.arch as string]
  return machine === undefined ? undefined : join(UNPACKED, 'usr/lib', machine)
}
