/** Installs Debian packages that are missing on the host, with the host's own apt sources. */
import { existsSync } from 'node:fs'
import { rememberHostChange } from './host-changes.ts'
import { requireCommand, runCommand } from './command.ts'

/** Package by the file that proves it is there, however it got there. */
const proofs: Record<string, string[]> = {
  debootstrap: ['/usr/sbin/debootstrap'],
  'debian-archive-keyring': ['/usr/share/keyrings/debian-archive-keyring.gpg'],
  munge: ['/usr/sbin/munged', '/usr/bin/munge'],
  curl: ['/usr/bin/curl'],
  'util-linux': ['/usr/bin/setpriv', '/usr/bin/nsenter', '/usr/bin/unshare'],
  mount: ['/usr/bin/mount'],
  passwd: ['/usr/sbin/useradd'],
}

/** What only the tests need. */
const testProofs: Record<string, string[]> = { iproute2: ['/sbin/ip'] }

export function findMissingPackages({ forTests = false } = {}): string[] {
  return Object.entries({ ...proofs, ...(forTests && testProofs) }).flatMap(([name, paths]) =>
    paths.every((path) => existsSync(path)) ? [] : [name],
  )
}

/**
 * Runs apt-get to its end even when we are being stopped: an interrupted dpkg is worse than a late Ctrl-C. munged is not
 * left running by its package: systemd would start it with the host from then on.
 */
export async function installPackages(
  names: readonly string[],
  onProgress: (line: string) => void,
): Promise<void> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' }
  await rememberHostChange({ packages: [...names] })
  onProgress('apt-get update')
  await requireCommand('apt-get update', ['apt-get', 'update', '-q'], { env, onLine: onProgress })
  const install = ['apt-get', 'install', '-q', '-y', '--no-install-recommends', ...names]
  await requireCommand('apt-get install', install, { env, onLine: onProgress })
  if (names.includes('munge') && existsSync('/run/systemd/system')) {
    await runCommand(['systemctl', 'disable', '--now', 'munge.service'])
  }
}
