/**
 * The box a cluster's daemons live in: own mounts, own process ids, own host name, a read-only Debian root. Everything in it
 * ends, and its mounts vanish, when this process closes it or dies, because its process 1 ends at the end of its input.
 */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { stateMountPoint } from './base-root.ts'
import { slurmUid } from './cluster-config.ts'

export interface EnclosureOptions {
  baseRoot: string
  /** Holds `config/` (see cluster-config.ts), `state/` (seen inside as stateMountPoint) and the lock. */
  instanceDir: string
  hostName: string
  /** The host's folder with munged's socket, seen inside as /run/munge. */
  mungeDir: string
  homes: readonly Home[]
}

export interface EnclosedDaemon {
  readonly name: string
  readonly logFile: string
  isRunning(): boolean
  readonly ended: Promise<void>
}

export interface Home {
  user: string
  /** The host's folder. */
  source: string
  /** Where it is seen inside. */
  target: string
}

export interface Enclosure {
  /** Turns a short command into one that runs inside as `user`, a user of the box's own /etc/passwd. */
  command(command: readonly string[], user: string): string[]
  /** Starts a daemon inside, its output in `state/log/NAME.out`. */
  start(name: string, command: readonly string[], user: string): EnclosedDaemon
  /** Ends whatever still runs inside. */
  close(): Promise<void>
  readonly ended: Promise<void>
}

/**
 * $1 base root, $2 instance folder, $3 host name, $4 munge folder, then source and target of each home. The new root is a
 * tmpfs with the Debian root's folders in it, so that homes may stand anywhere. `read` is a shell builtin: /proc/self is this
 * shell, as the host numbers it.
 */
const enterScript = `
set -eu
exec 9> "$2/lock"
flock -n 9 || { echo "locked"; exit 1; }
read -r pid rest < /proc/self/stat
base=$1 instance=$2 name=$3 munge=$4; shift 4
new=$instance/root
mkdir -p "$new"
mount -t tmpfs -o mode=755 slurmgate "$new"
cd "$new"
for path in "$base"/*; do
  entry=\${path##*/}
  if [ -L "$path" ]; then cp -P "$path" "$new/"; continue; fi
  [ -d "$path" ] && mkdir "$entry"
  case $entry in usr|etc|var) mount --bind "$path" "$entry"; mount -o remount,bind,ro "$entry" ;; esac
done
chmod 700 root; chmod 1777 tmp
mkdir -p run/munge run/mysqld run/lock proc dev sys
mount -t proc proc proc
mount --rbind /dev dev
mount --rbind /sys sys
mount -t tmpfs -o mode=1777 slurmgate var/tmp
mount --bind "$munge" run/munge
mount --bind "$instance/state" "$new${stateMountPoint}"
mount --bind "$instance/config/slurm" etc/slurm
for file in passwd group hosts; do mount --bind "$instance/config/$file" "etc/$file"; done
while [ $# -ge 2 ]; do mkdir -p "$new$2"; mount --bind "$1" "$new$2"; shift 2; done
chown ${slurmUid}:${slurmUid} run/mysqld
echo "$name" > /proc/sys/kernel/hostname
# Said from inside: whoever enters a moment earlier would find the host's root and users.
exec chroot "$new" /bin/bash -c 'echo "enclosed $0"; while read -r line; do eval "$line"; done' "$pid"
`

/*
 * Daemons are children of process 1 in there and not of `nsenter` out here: the orphans of a killed nsenter would wait for
 * the host's process 1 to reap them, which in a container it often does not, and until then the namespace cannot end.
 */

/** Opens the box; throws when another one of the same instance is open or when a mount is refused. */
export async function openEnclosure(options: EnclosureOptions): Promise<Enclosure> {
  const namespaces = ['--mount', '--pid', '--uts', '--fork', '--kill-child']
  const places = [options.baseRoot, options.instanceDir, options.hostName, options.mungeDir]
  const homes = options.homes.flatMap(({ source, target }) => [source, target])
  await mkdir(join(options.instanceDir, 'root'), { recursive: true })
  const child = spawn(
    'unshare',
    [...namespaces, 'sh', '-c', enterScript, 'slurmgate-cluster', ...places, ...homes],
    {
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    },
  )
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve())
    child.once('error', () => resolve())
  })
  const endings = new EventEmitter()
  const processId = await readAnswers(child, options.instanceDir, endings)
  const actingAs = (user: string): string[] =>
    actAs(user, options.homes.find((home) => home.user === user)?.target ?? '/root')
  return {
    command: (command, user) => ['nsenter', ...enterOptions(processId), ...actingAs(user), ...command],
    start: (name, command, user) => {
      const logFile = join(options.instanceDir, 'state/log', `${name}.out`)
      const daemon = watchDaemon(name, logFile, endings, ended)
      const words = [...actingAs(user), ...command].map(quoteWord).join(' ')
      child.stdin.write(`{ ${words} > ${stateMountPoint}/log/${name}.out 2>&1; echo ended ${name}; } &\n`)
      return daemon
    },
    close: async () => {
      child.stdin.end()
      const timer = setTimeout(() => child.kill('SIGKILL'), 2000)
      await ended
      clearTimeout(timer)
    },
    ended,
  }
}

function watchDaemon(
  name: string,
  logFile: string,
  endings: EventEmitter,
  enclosureEnded: Promise<void>,
): EnclosedDaemon {
  let running = true
  const ended = new Promise<void>((resolve) => {
    endings.once(name, resolve)
    void enclosureEnded.then(resolve)
  }).then(() => {
    running = false
  })
  return { name, logFile, isRunning: () => running, ended }
}

function quoteWord(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`
}

function enterOptions(processId: string): string[] {
  return ['--target', processId, '--mount', '--pid', '--uts', '--root', '--wd', '--']
}

/** Nothing of our own environment goes in. */
function actAs(user: string, home: string): string[] {
  const environment = [
    'env',
    '-i',
    'PATH=/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin',
    `HOME=${home}`,
    'LC_ALL=C.UTF-8',
  ]
  return user === 'root'
    ? environment
    : [...environment, 'setpriv', '--reuid', user, '--regid', user, '--init-groups']
}

/** Resolves with the number of process 1 as the host sees it; goes on to listen for daemons that end. */
function readAnswers(
  child: ChildProcessWithoutNullStreams,
  instanceDir: string,
  endings: EventEmitter,
): Promise<string> {
  return new Promise((resolve, reject) => {
    let complaints = ''
    child.once('error', reject)
    child.stdin.on('error', () => undefined) // it has ended: whoever waits for a daemon learns it from `ended`
    child.stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString('utf8')))
    createInterface({ input: child.stdout }).on('line', (line) => {
      const [word, subject = ''] = line.split(' ')
      if (word === 'locked') complaints = `another process has this cluster open (${instanceDir}/lock)`
      if (word === 'enclosed') resolve(subject)
      if (word === 'ended') endings.emit(subject)
    })
    child.once('close', (code) => {
      reject(
        new Error(`the cluster's namespaces could not be set up (exit code ${code}): ${complaints.trim()}`),
      )
    })
  })
}
