/** Starts the five daemons of the cluster in the order they need each other, and stops them in the reverse. */
import { stateMountPoint } from './base-root.ts'
import type { ClusterPorts } from './cluster-config.ts'
import { requireCommand, runCommand } from './command.ts'
import { waitUntilReady } from './daemon.ts'
import type { EnclosedDaemon, Enclosure } from './enclosure.ts'
import { isPortAnswering } from './port.ts'

export type ClusterDaemonName = 'mariadbd' | 'slurmdbd' | 'slurmctld' | 'slurmd' | 'slurmrestd'

export interface ClusterDaemonsOptions {
  enclosure: Enclosure
  ports: ClusterPorts
  /** True when MariaDB's data folder is one of an earlier start. */
  isInitialised: boolean
  /** Called when slurmdbd answers and before slurmctld starts. */
  onAccounting: () => Promise<void>
  onProgress?: (line: string) => void
  signal?: AbortSignal
}

export interface ClusterDaemons {
  control: Record<'startDaemon' | 'stopDaemon' | 'restart', (name: ClusterDaemonName) => Promise<void>>
  stopAll(): Promise<void>
}

const startOrder: readonly ClusterDaemonName[] = ['mariadbd', 'slurmdbd', 'slurmctld', 'slurmd', 'slurmrestd']
const mariadbFolder = `${stateMountPoint}/mariadb`

/** Starts all five; on return the node is idle and slurmrestd accepts connections. */
export async function startClusterDaemons(options: ClusterDaemonsOptions): Promise<ClusterDaemons> {
  const { enclosure, onProgress } = options
  const running = new Map<ClusterDaemonName, EnclosedDaemon>()
  if (!options.isInitialised) {
    onProgress?.('creating the accounting database')
    await requireCommand('mariadb-install-db', enclosure.command(installDatabaseCommand, 'slurm'))
  }
  const start = async (name: ClusterDaemonName): Promise<void> => {
    if (running.get(name)?.isRunning()) return
    const { command, user } = describeDaemon(name, options.ports)
    const daemon = enclosure.start(name, command, user)
    running.set(name, daemon)
    const isReady = (): Promise<boolean> => isDaemonReady(name, options)
    await waitUntilReady(daemon, isReady, {
      timeoutSeconds: 60,
      ...(options.signal ? { signal: options.signal } : {}),
    })
  }
  const stop = async (name: ClusterDaemonName): Promise<void> => {
    const daemon = running.get(name)
    if (daemon?.isRunning()) await stopInside(enclosure, daemon, name)
    running.delete(name)
  }
  for (const name of startOrder) {
    onProgress?.(`starting ${name}`)
    await start(name)
    if (name === 'slurmdbd') await options.onAccounting()
  }
  return {
    control: {
      startDaemon: start,
      stopDaemon: stop,
      restart: async (name) => {
        await stop(name)
        await start(name)
      },
    },
    stopAll: async () => {
      for (const name of [...startOrder].reverse()) await stop(name)
    },
  }
}

/**
 * Signalled by name, inside: the box has no daemons but ours. At `scontrol reconfigure` slurmctld starts itself anew, by the
 * name that Debian's link leads to (24.11, measured).
 */
async function stopInside(
  enclosure: Enclosure,
  daemon: EnclosedDaemon,
  name: ClusterDaemonName,
): Promise<void> {
  const names = `${name}(-wlm)?`
  await runCommand(enclosure.command(['pkill', '-TERM', '-x', names], 'root'))
  const timer = setTimeout(
    () => void runCommand(enclosure.command(['pkill', '-KILL', '-x', names], 'root')),
    10_000,
  )
  await daemon.ended
  clearTimeout(timer)
}

/** The database's owner is slurm itself, known by its uid over the socket: no password exists. */
const installDatabaseCommand = [
  ...[
    'mariadb-install-db',
    '--no-defaults',
    `--datadir=${mariadbFolder}`,
    '--skip-test-db',
    '--innodb-log-file-size=8M',
  ],
  ...['--auth-root-authentication-method=socket', '--auth-root-socket-user=slurm'],
]

function describeDaemon(name: ClusterDaemonName, ports: ClusterPorts): { command: string[]; user: string } {
  switch (name) {
    case 'mariadbd':
      return {
        command: [
          ...['mariadbd', '--no-defaults', `--datadir=${mariadbFolder}`, '--socket=/run/mysqld/mysqld.sock'],
          ...['--skip-networking', '--pid-file=/run/mysqld/mysqld.pid', '--innodb-log-file-size=8M'],
          ...[
            '--innodb-buffer-pool-size=128M',
            '--innodb-lock-wait-timeout=900',
            '--innodb-use-native-aio=0',
          ],
        ],
        user: 'slurm',
      }
    case 'slurmdbd':
    case 'slurmctld':
      return { command: [name, '-D'], user: 'slurm' }
    case 'slurmd':
      return { command: ['slurmd', '-D'], user: 'root' }
    case 'slurmrestd': {
      const listeners = [`127.0.0.1:${ports.slurmrestd}`, `unix:${stateMountPoint}/run/slurmrestd.sock`]
      const socket = `${stateMountPoint}/run/slurmrestd.sock`
      const script = `rm -f ${socket}; SLURM_JWT=daemon exec slurmrestd -a rest_auth/jwt "$@"`
      return { command: ['sh', '-c', script, 'slurmrestd', ...listeners], user: 'slurmrest' }
    }
  }
}

/**
 * MariaDB is ready when slurmdbd's database exists. It must exist before slurmdbd starts: Slurm 24.11 connects a second time
 * on the same handle after `unknown database`, and MariaDB 11.8.9's client library then refuses every result (error 5027).
 * slurmctld opens its port long before it can answer.
 */
async function isDaemonReady(
  name: ClusterDaemonName,
  { enclosure, ports }: ClusterDaemonsOptions,
): Promise<boolean> {
  switch (name) {
    case 'slurmdbd':
    case 'slurmrestd':
      return isPortAnswering(ports[name])
    case 'mariadbd': {
      const client = ['mariadb', '--no-defaults', '--socket=/run/mysqld/mysqld.sock']
      const statement = 'CREATE DATABASE IF NOT EXISTS slurm'
      return (await runCommand(enclosure.command([...client, '-e', statement], 'slurm'))).code === 0
    }
    case 'slurmctld':
      if (!(await isPortAnswering(ports.slurmctld))) return false
      return (
        (await runCommand(enclosure.command(['timeout', '3', 'squeue', '--noheader'], 'root'))).code === 0
      )
    case 'slurmd': {
      const show = ['timeout', '3', 'sinfo', '--noheader', '--format=%T']
      const { stdout } = await runCommand(enclosure.command(show, 'root'))
      return /^(idle|mixed|allocated|completing)\n/.test(stdout)
    }
  }
}
