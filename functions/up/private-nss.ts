/**
 * Gives one command a passwd and group file with more users than the host has, in a mount namespace of its own: tests need
 * people whom munged and getent know, and the host's own files must stay as they are.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ClusterUser } from './cluster-config.ts'

export interface PrivateNss {
  readonly passwdFile: string
  readonly groupFile: string
}

/** Writes the host's files plus the users into `dir`; a host's user of the same name is left out. */
export async function writePrivateNss(
  dir: string,
  users: readonly Pick<ClusterUser, 'name' | 'uid' | 'gid' | 'home'>[],
): Promise<PrivateNss> {
  await mkdir(dir, { recursive: true })
  const names = new Set(users.map(({ name }) => name))
  const readOthers = async (path: string): Promise<string[]> => {
    const lines = (await readFile(path, 'utf8')).split('\n')
    return lines.filter((line) => line !== '' && !names.has(line.split(':')[0] ?? ''))
  }
  const passwdLines = users.map(
    ({ name, uid, gid = uid, home = `/home/${name}` }) => `${name}:x:${uid}:${gid}::${home}:/bin/sh`,
  )
  const groupLines = users.map(({ name, uid, gid = uid }) => `${name}:x:${gid}:`)
  const files = { passwdFile: join(dir, 'passwd'), groupFile: join(dir, 'group') }
  await writeFile(files.passwdFile, [...(await readOthers('/etc/passwd')), ...passwdLines, ''].join('\n'))
  await writeFile(files.groupFile, [...(await readOthers('/etc/group')), ...groupLines, ''].join('\n'))
  return files
}

const bindScript = 'mount --bind "$1" /etc/passwd && mount --bind "$2" /etc/group && shift 2 && exec "$@"'

/** Turns a command into one that sees those files. Needs root; whoever the command starts sees them too. */
export function withPrivateNss({ passwdFile, groupFile }: PrivateNss, command: readonly string[]): string[] {
  return [
    'unshare',
    '--mount',
    '--',
    'sh',
    '-c',
    bindScript,
    'private-nss',
    passwdFile,
    groupFile,
    ...command,
  ]
}
