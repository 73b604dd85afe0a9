/**
 * A real one-node Slurm with accounting and slurmrestd, on 127.0.0.1 only. Needs root, and a munged that somebody else
 * started. It touches nothing outside its cache and state folders, and nothing of it survives this process.
 */
import { mkdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { writeAccounting } from './accounting.ts'
import { ensureBaseRoot, type Suite } from './base-root.ts'
import type { ClusterPorts, ClusterUser } from './cluster-config.ts'
import { startClusterDaemons, type ClusterDaemonName, type ClusterDaemons } from './cluster-daemons.ts'
import { installKeys, prepareHomes, prepareState, rememberDefinition, writeConfig } from './cluster-state.ts'
import { runCommand, type CommandResult } from './command.ts'
import { openEnclosure, type Enclosure } from './enclosure.ts'
import { findFreePort } from './port.ts'

export type { Suite } from './base-root.ts'
export type { ClusterPorts, ClusterUser } from './cluster-config.ts'
export type { ClusterDaemonName } from './cluster-daemons.ts'

export interface ClusterOptions {
  /** A short lower-case name; two clusters of different names run side by side. */
  instance: string
  suite?: Suite
  users: readonly ClusterUser[]
  /** Accounts beside those the users name. */
  accounts?: readonly string[]
  /** The socket of a running munged on the host. */
  mungeSocket: string
  /** Ports left out are the free ones that the kernel picks. */
  ports?: Partial<ClusterPorts>
  cacheDir?: string
  stateDir?: string
  /** Throw this instance's earlier jobs and accounting away. */
  fresh?: boolean
  onProgress?: (line: string) => void
  /** Gives the start up: `startCluster` then throws and leaves nothing running. */
  signal?: AbortSignal
}

export interface Cluster {
  /** http://127.0.0.1:PORT */
  readonly slurmrestdUrl: string
  /** slurmrestd's unix socket as a path of the host. */
  readonly slurmrestdSocket: string
  readonly hs256KeyFile: string
  readonly rs256JwkFile: string
  readonly mungeSocket: string
  readonly ports: ClusterPorts
  readonly clusterName: string
  readonly nodeName: string
  /** Holds every log, key and state of the instance. */
  readonly instanceDir: string
  /** Runs a command inside, as root unless told: squeue, sacct, sacctmgr, scontrol, sbatch, … */
  run(command: readonly string[], as?: string, input?: string): Promise<CommandResult>
  startDaemon(name: ClusterDaemonName): Promise<void>
  stopDaemon(name: ClusterDaemonName): Promise<void>
  restart(name: ClusterDaemonName): Promise<void>
  /** Ends all daemons and jobs, takes all mounts away; the state stays for the next start. */
  stop(): Promise<void>
}

/** Brings the cluster up to an idle node and an answering slurmrestd: minutes the first time, seconds afterwards. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { instance, users, mungeSocket, suite = 'trixie', onProgress } = options
  if (!/^[a-z][a-z0-9]{0,15}$/.test(instance)) throw new Error(`not a cluster instance name: ${instance}`)
  const cacheDir = options.cacheDir ?? process.env['SLURMGATE_CACHE'] ?? '/var/cache/slurmgate'
  const instanceDir = join(options.stateDir ?? '/var/lib/slurmgate', instance)
  const signal = options.signal ? { signal: options.signal } : {}
  const baseRoot = await ensureBaseRoot({ suite, cacheDir, ...(onProgress ? { onProgress } : {}), ...signal })
  const accounts = [...new Set([...users.flatMap((user) => user.accounts), ...(options.accounts ?? [])])]
  const definition = { suite, clusterName: instance, accounts, users, fresh: options.fresh ?? false }
  const names = {
    suite,
    clusterName: instance,
    hostName: `${instance}-node`,
    mungeSocketName: basename(mungeSocket),
  }
  const ports = await choosePorts(options.ports ?? {})
  await mkdir(instanceDir, { recursive: true })
  await requireClosed(instanceDir)
  const isKept = await prepareState(instanceDir, definition)
  await writeConfig(instanceDir, baseRoot, users, { ...names, ports })
  const keys = await installKeys(instanceDir)
  const homes = await prepareHomes(instanceDir, users)
  const mungeDir = dirname(mungeSocket)
  const enclosure = await openEnclosure({ baseRoot, instanceDir, hostName: names.hostName, mungeDir, homes })
  const run = (command: readonly string[], as = 'root', input?: string): Promise<CommandResult> =>
    runCommand(enclosure.command(command, as), input === undefined ? {} : { input })
  try {
    const daemons = await startClusterDaemons({
      enclosure,
      ...names,
      ports,
      isInitialised: isKept,
      ...signal,
      ...(onProgress ? { onProgress } : {}),
      onAccounting: async () => {
        if (isKept) return
        await writeAccounting((command, input) => run(command, 'root', input), definition)
        await rememberDefinition(instanceDir, definition)
      },
    })
    return {
      slurmrestdUrl: `http://127.0.0.1:${ports.slurmrestd}`,
      slurmrestdSocket: join(instanceDir, 'state/run/slurmrestd.sock'),
      hs256KeyFile: keys.hs256KeyFile,
      rs256JwkFile: keys.rs256JwkFile,
      mungeSocket,
      ports,
      clusterName: instance,
      nodeName: names.hostName,
      instanceDir,
      run,
      ...daemons.control,
      stop: () => stopCluster(enclosure, daemons),
    }
  } catch (error) {
    await enclosure.close()
    throw error
  }
}

/** Before anything of the instance is written; the enclosure takes the lock itself a moment later. */
async function requireClosed(instanceDir: string): Promise<void> {
  const { code } = await runCommand(['flock', '--nonblock', join(instanceDir, 'lock'), 'true'])
  if (code !== 0) throw new Error(`another process has this cluster open (${instanceDir}/lock)`)
}

async function stopCluster(enclosure: Enclosure, daemons: ClusterDaemons): Promise<void> {
  await daemons.stopAll()
  await enclosure.close()
}

async function choosePorts(wanted: Partial<ClusterPorts>): Promise<ClusterPorts> {
  return {
    slurmctld: await findFreePort(wanted.slurmctld),
    slurmd: await findFreePort(wanted.slurmd),
    slurmdbd: await findFreePort(wanted.slurmdbd),
    slurmrestd: await findFreePort(wanted.slurmrestd),
  }
}
