/** Decides whose munged `npm run up` works with. A key or a daemon that it did not make is used only when told to. */
import { lookup } from 'node:dns/promises'
import { existsSync } from 'node:fs'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { runCommand } from './command.ts'
import { readHostChanges, stateDir } from './host-changes.ts'
import { findHostUser } from './host-users.ts'
import { isMungedAnswering, startMunged } from './munged.ts'

export const defaultMungeSocket = '/run/munge/munge.socket.2'
const hostKeyFile = '/etc/munge/munge.key'

/** `own`: nothing of the operator's is there. `running`, `key`: somebody else's daemon answers, or their key lies there. */
export type HostMunge = 'own' | 'running' | 'key'

export async function inspectHostMunge(): Promise<HostMunge> {
  const isOurPackage = (await readHostChanges()).packages.includes('munge')
  const isAnswering = await isMungedAnswering(defaultMungeSocket)
  if (isAnswering && !(isOurPackage && (await isSystemService()))) return 'running'
  return existsSync(hostKeyFile) && !isOurPackage ? 'key' : 'own'
}

export interface StartedMunge {
  socket: string
  /** For the transcript. */
  description: string
  stop(): Promise<void>
}

/**
 * Provides a munged at the default socket, so that a bare `munge` works for everybody on this host. Never called for
 * `running` or `key` unless the operator said `--use-munged`.
 */
export async function startHostMunge(found: HostMunge): Promise<StartedMunge> {
  const socket = defaultMungeSocket
  if (found === 'running') {
    return { socket, description: 'using the munged that was running', stop: () => Promise.resolve() }
  }
  if (existsSync('/run/systemd/system')) await runCommand(['systemctl', 'disable', '--now', 'munge.service'])
  const user = await findHostUser('munge')
  if (!user) throw new Error('the munge package made no user "munge"')
  const isFolderInUse = (await readdir('/run/munge').catch(() => [])).length > 0
  const dir = join(stateDir, 'up/munge')
  await mkdir(join(stateDir, 'up'), { recursive: true })
  const keyFile = found === 'key' ? hostKeyFile : join(dir, 'munge.key')
  const removeFolder = async (): Promise<void> => {
    if (!isFolderInUse) await rm('/run/munge', { recursive: true, force: true })
  }
  try {
    const munged = await startMunged({ socket, keyFile, dir, user, ...(await findOrigin()) })
    return {
      socket,
      description:
        found === 'key' ? `munged with this host's ${hostKeyFile}` : 'munged with a key of its own',
      stop: () => munged.stop().then(removeFolder),
    }
  } catch (error) {
    await removeFolder()
    throw error
  }
}

/** munged takes 0.0.0.0 for its origin where the host's own name resolves to nothing; every credential would be refused. */
async function findOrigin(): Promise<{ origin?: string }> {
  const isResolved = await lookup(hostname(), 4).then(
    () => true,
    () => false,
  )
  return isResolved ? {} : { origin: '127.0.0.1' }
}

async function isSystemService(): Promise<boolean> {
  if (!existsSync('/run/systemd/system')) return false
  return (await runCommand(['systemctl', 'is-active', '--quiet', 'munge.service'])).code === 0
}
