/**
 * A real Postgres for tests: one instance for each test file that asks. Lives in a temporary directory, as root or as an
 * ordinary user.
 */

import { execFile, spawn, type ChildProcessByStdio } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, chown, cp, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { promisify } from 'node:util'
import postgres from 'postgres'
import { findFreePort } from './free-port.ts'
import { findPostgresBinaries } from './postgres-binaries.ts'

export interface TestPostgres {
  /** Of the administrator, database `postgres`. */
  readonly url: string
  /** Postgres's first process, for tests that stop or freeze it. */
  readonly pid: number
  /** Ends the server and removes its directory. Calling it again is harmless. */
  stop(): Promise<void>
}

const START_MILLISECONDS_MAX = 30_000

const run = promisify(execFile)

/**
 * Keeps Postgres from outliving the tests, even ones that were killed: ends it when the pipe on stdin closes, then
 * removes the data. $0 is the data directory, the rest the command.
 */
const SUPERVISOR = `
exec 3<&0
"$@" 3<&- & server=$!
{ read -r _ <&3; kill -CONT $server; kill -INT $server; } 2>/dev/null & watcher=$!
wait $server
kill $watcher 2>/dev/null
rm -rf "$0"`

type Supervisor = ChildProcessByStdio<Writable, null, Readable>

/** Postgres refuses to run as root: then it runs as `nobody`, whom every system has. */
interface User {
  readonly uid?: number
  readonly gid?: number
}

/** @param settings beyond those of every test, as `name=value`. */
export async function startTestPostgres(settings: readonly string[] = []): Promise<TestPostgres> {
  const directory = await mkdtemp(join(tmpdir(), 'slurmgate-postgres-'))
  try {
    const user = await findServerUser()
    const binaries = await findReachableBinaries(directory, user)
    const password = randomBytes(12).toString('hex')
    const data = await initialise(directory, join(binaries, 'bin', 'initdb'), password, user)
    const port = await findFreePort()
    const supervisor = await startServer(join(binaries, 'bin', 'postgres'), { data, port, user, settings })
    const pid = Number.parseInt(await readFile(join(data, 'postmaster.pid'), 'utf8'), 10)
    const url = `postgres://postgres:${password}@127.0.0.1:${String(port)}/postgres`
    return { url, pid, stop: () => stopServer(supervisor, directory) }
  } catch (error) {
    await rm(directory, { recursive: true, force: true })
    throw error
  }
}

let own: Promise<TestPostgres> | null = null

/** Ends the test file's own instance, if it had one. Call it in `afterAll`. */
export async function stopOwnPostgres(): Promise<void> {
  const started = own
  own = null
  await (await started)?.stop()
}

/** A new, empty database of the test file's own instance. @returns its URL. */
export async function createDatabase(): Promise<string> {
  return createDatabaseOn((await (own ??= startTestPostgres())).url)
}

/** A new, empty database of any instance. @returns its URL. */
export async function createDatabaseOn(administratorUrl: string): Promise<string> {
  const url = new URL(administratorUrl)
  const name = `test_${randomBytes(6).toString('hex')}`
  const sql = postgres(url.href, { max: 1, onnotice: () => undefined })
  try {
    await sql.unsafe(`create database ${name}`)
  } finally {
    await sql.end()
  }
  url.pathname = `/${name}`
  return url.href
}

async function findServerUser(): Promise<User> {
  if (process.getuid?.() !== 0) return {}
  const [uid, gid] = await Promise.all([run('id', ['-u', 'nobody']), run('id', ['-g', 'nobody'])])
  return { uid: Number(uid.stdout), gid: Number(gid.stdout) }
}

/** Where another user has to run them and cannot get there (a clone under /root), the binaries are copied. */
async function findReachableBinaries(directory: string, user: User): Promise<string> {
  const native = await findPostgresBinaries()
  if (user.uid === undefined || (await isOpenToAll(native))) return native
  const copy = join(directory, 'native')
  await cp(native, copy, { recursive: true, verbatimSymlinks: true })
  await run('chmod', ['-R', 'a+rX', copy])
  return copy
}

async function isOpenToAll(path: string): Promise<boolean> {
  const isOpen = ((await stat(path)).mode & 0o005) === 0o005
  return isOpen && (dirname(path) === path || (await isOpenToAll(dirname(path))))
}

async function initialise(directory: string, initdb: string, password: string, user: User): Promise<string> {
  await chmod(directory, 0o755)
  const data = join(directory, 'data')
  const passwordFile = join(directory, 'password')
  await mkdir(data, { mode: 0o700 })
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 })
  if (user.uid !== undefined && user.gid !== undefined) {
    await chown(data, user.uid, user.gid)
    await chown(passwordFile, user.uid, user.gid)
  }
  const options = ['--auth=scram-sha-256', '--username=postgres', `--pwfile=${passwordFile}`, '--no-sync']
  await run(initdb, [`--pgdata=${data}`, ...options, '--encoding=UTF8', '--locale=C'], {
    ...user,
    cwd: directory,
  })
  return data
}

interface ServerPlan {
  readonly data: string
  readonly port: number
  readonly user: User
  readonly settings: readonly string[]
}

async function startServer(binary: string, plan: ServerPlan): Promise<Supervisor> {
  const { data, port, user } = plan
  const settings = [
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    'fsync=off',
    'max_connections=200',
    ...plan.settings,
  ]
  const command = [binary, '-D', data, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])]
  const supervisor = spawn('sh', ['-c', SUPERVISOR, data, ...command], {
    ...user,
    cwd: '/',
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  let log = ''
  await new Promise<void>((resolve, reject) => {
    const fail = (): void => {
      supervisor.stdin.end()
      reject(new Error(`the test Postgres did not start:\n${log.slice(-2_000)}`))
    }
    const timer = setTimeout(fail, START_MILLISECONDS_MAX)
    supervisor.once('error', fail).once('exit', fail)
    supervisor.stderr.setEncoding('utf8').on('data', (text: string) => {
      log = (log + text).slice(-10_000)
      if (!log.includes('ready to accept connections')) return
      clearTimeout(timer)
      supervisor.off('exit', fail)
      resolve()
    })
  })
  return supervisor
}

/** Postgres's fast shutdown: it does not wait for its clients. */
async function stopServer(supervisor: Supervisor, directory: string): Promise<void> {
  if (supervisor.exitCode === null && supervisor.signalCode === null) {
    const ended = new Promise((resolve) => supervisor.once('exit', resolve))
    supervisor.stdin.end()
    await ended
  }
  await rm(directory, { recursive: true, force: true })
}
