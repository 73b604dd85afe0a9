/** Runs a munged of our own, with its own key and socket: beside the host's one, as root or as an ordinary user. */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, chown, mkdir, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { startDaemon, waitUntilReady } from './daemon.ts'

export interface MungedOptions {
  /** Its folder must be one that munged accepts: every parent owned by root or the user, and not writable for others. */
  socket: string
  /** Made when it does not exist. */
  keyFile: string
  /** For the pid, lock, seed and log files. */
  dir: string
  /** Whom to run as, when we are root; without it munged runs as whoever we are. */
  user?: { name: string; uid: number; gid: number }
  /** The address in the credentials, see --origin in munged(8). */
  origin?: string
  /** The longest life a decoded credential may have had, see --max-ttl in munged(8). */
  maxTtlSeconds?: number
}

export interface Munged {
  readonly socket: string
  readonly keyFile: string
  readonly logFile: string
  readonly pid: number
  readonly ended: Promise<void>
  isRunning(): boolean
  stop(): Promise<void>
}

/** Starts munged; on return its socket accepts connections. */
export async function startMunged(options: MungedOptions): Promise<Munged> {
  const { socket, keyFile, dir, user } = options
  for (const folder of [dir, dirname(socket), dirname(keyFile)]) await ensureFolder(folder, user)
  if (!existsSync(keyFile)) {
    await writeFile(keyFile, randomBytes(128), { mode: 0o400 })
    if (user) await chown(keyFile, user.uid, user.gid)
  }
  const command = [
    ...[
      'munged',
      '--foreground',
      `--socket=${socket}`,
      `--key-file=${keyFile}`,
      `--pid-file=${join(dir, 'munged.pid')}`,
    ],
    ...[
      `--log-file=${join(dir, 'munged.log')}`,
      `--seed-file=${join(dir, 'munged.seed')}`,
      '--num-threads=10',
    ],
    ...(options.origin === undefined ? [] : [`--origin=${options.origin}`]),
    ...(options.maxTtlSeconds === undefined ? [] : [`--max-ttl=${options.maxTtlSeconds}`]),
  ]
  const identity = user ? [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups'] : []
  const logFile = join(dir, 'munged.out')
  const daemon = await startDaemon({
    name: 'munged',
    command,
    identity,
    logFile,
    env: { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/usr/bin:/sbin:/bin` },
  })
  await waitUntilReady(daemon, () => isMungedAnswering(socket), { timeoutSeconds: 10 })
  return {
    socket,
    keyFile,
    logFile,
    pid: daemon.pid,
    ended: daemon.ended,
    isRunning: () => daemon.isRunning(),
    stop: () => daemon.stop(),
  }
}

/** True when something accepts connections on the socket. */
export function isMungedAnswering(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect({ path: socket })
    connection.once('connect', () => {
      connection.destroy()
      resolve(true)
    })
    connection.once('error', () => resolve(false))
  })
}

async function ensureFolder(folder: string, user: MungedOptions['user']): Promise<void> {
  if (existsSync(folder)) return
  await mkdir(folder, { recursive: true })
  await chmod(folder, 0o755)
  if (user) await chown(folder, user.uid, user.gid)
}
