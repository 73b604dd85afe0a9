/**
 * Builds, once, the Debian file system that the Slurm daemons come from, and keeps it outside git. It is mounted read-only
 * by every cluster and holds no state, no key and no user of ours.
 */
import { existsSync } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { dieWithParent, requireCommand } from './command.ts'
import { findDebianMirror } from './debian-mirror.ts'

export type Suite = 'bookworm' | 'trixie' | 'forky'

export interface BaseRootOptions {
  suite: Suite
  cacheDir: string
  onProgress?: (line: string) => void
  signal?: AbortSignal
}

const packages = [
  ...['munge', 'slurmctld', 'slurmd', 'slurmrestd', 'slurmdbd', 'slurm-client'],
  ...[
    'slurm-wlm-basic-plugins',
    'slurm-wlm-jwt-plugin',
    'slurm-wlm-mysql-plugin',
    'mariadb-server',
    'procps',
  ],
]

/** Whoever changes the packages or the script below makes every cached root a stale one. */
const stamp = `slurmgate root 1: ${packages.join(' ')}`

/** Where the clusters' own state is mounted in the root; see enclosure.ts. */
export const stateMountPoint = '/var/lib/slurmgate'

/**
 * Runs in namespaces of its own, so that ending it leaves neither mounts nor processes. policy-rc.d keeps the packages'
 * installation scripts from starting daemons. The rename at the end makes the root appear whole or not at all.
 */
const buildScript = `
set -eu
final=$1 suite=$2 mirror=$3 include=$4 stamp=$5 script=$6
if [ "$(cat "$final/.slurmgate-root" 2>/dev/null)" = "$stamp" ]; then exit 0; fi
echo "I: Starting"
new=$final.new
rm -rf --one-file-system "$new"
mkdir -p "$new/usr/sbin"
printf '#!/bin/sh\\nexit 101\\n' > "$new/usr/sbin/policy-rc.d"
chmod 755 "$new/usr/sbin/policy-rc.d"
debootstrap --variant=minbase --include="$include" "$suite" "$new" "$mirror" $script
umount -R "$new/proc" "$new/sys" 2>/dev/null || true
rm -rf "$new"/var/cache/apt/archives/*.deb "$new"/var/lib/apt/lists/* "$new"/var/lib/mysql/* "$new"/etc/munge/munge.key
mkdir -p "$new${stateMountPoint}" "$new/etc/slurm"
touch "$new/etc/hosts" "$new/etc/hostname"
echo "$stamp" > "$new/.slurmgate-root"
if [ -e "$final" ]; then mv "$final" "$final.old"; fi
mv "$new" "$final"
rm -rf --one-file-system "$final.old"
`

/** Resolves with the path of the root. The first time takes a minute or two; two starts at once build it once. */
export async function ensureBaseRoot({
  suite,
  cacheDir,
  onProgress,
  signal,
}: BaseRootOptions): Promise<string> {
  const root = join(cacheDir, suite)
  const found = await readFile(join(root, '.slurmgate-root'), 'utf8').catch(() => '')
  if (found.trim() === stamp) return root
  await mkdir(cacheDir, { recursive: true })
  onProgress?.(`debootstrap ${suite} (about 230 packages, 1 to 3 minutes, once)`)
  const lock = ['flock', '--no-fork', join(cacheDir, `.${suite}.lock`)]
  const namespaces = ['unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc']
  const script = existsSync(`/usr/share/debootstrap/scripts/${suite}`)
    ? ''
    : '/usr/share/debootstrap/scripts/sid'
  const args = [root, suite, await findDebianMirror(), packages.join(','), stamp, script]
  await requireCommand(
    `building the ${suite} root`,
    dieWithParent([...lock, ...namespaces, 'sh', '-c', buildScript, 'build-root', ...args]),
    {
      env: {
        PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
        LC_ALL: 'C.UTF-8',
        DEBIAN_FRONTEND: 'noninteractive',
        ...proxyEnvironment(),
      },
      onLine: (line) => {
        if (line.startsWith('I: ')) onProgress?.(`debootstrap: ${line.slice(3)}`)
      },
      ...(signal ? { signal } : {}),
    },
  )
  return root
}

/** debootstrap downloads with wget, which reads these. */
function proxyEnvironment(): NodeJS.ProcessEnv {
  const names = ['http_proxy', 'https_proxy', 'no_proxy']
  return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])))
}
