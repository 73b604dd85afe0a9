/** The people of the demonstration on this host. Users that exist are never changed. */
import { rememberHostChange } from './host-changes.ts'
import { requireCommand, runCommand } from './command.ts'

export interface HostUser {
  name: string
  uid: number
  gid: number
  home: string
}

/** Asks NSS, which may be more than /etc/passwd; null when there is no such user. */
export async function findHostUser(name: string): Promise<HostUser | null> {
  const { stdout, code } = await runCommand(['getent', 'passwd', name])
  const [found, , uid, gid, , home] = stdout.trim().split(':')
  if (code !== 0 || found !== name || home === undefined) return null
  return { name, uid: Number(uid), gid: Number(gid), home }
}

const kinds = {
  /** Somebody who logs in and submits jobs. */
  person: ['--create-home', '--shell', '/bin/bash'],
  /** Whom API tokens act as: an ordinary uid, no way to log in. */
  service: ['--no-create-home', '--home-dir', '/nonexistent', '--shell', '/usr/sbin/nologin'],
  /** Whom Postgres runs as. */
  system: ['--system', '--no-create-home', '--home-dir', '/nonexistent', '--shell', '/usr/sbin/nologin'],
}

/** The user of that name, made when there is none. */
export async function ensureHostUser(name: string, kind: keyof typeof kinds): Promise<HostUser> {
  const found = await findHostUser(name)
  if (found) return found
  await rememberHostChange({ users: [name] })
  await requireCommand(`useradd ${name}`, ['useradd', '--user-group', ...kinds[kind], name])
  const made = await findHostUser(name)
  if (!made) throw new Error(`useradd made no user ${name}`)
  return made
}
