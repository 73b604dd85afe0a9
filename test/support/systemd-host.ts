/**
 * A host that a test boots: a real systemd as process 1 of a Debian root, in namespaces and a control group of its own. What
 * it writes is in memory, it cannot set the machine's clock, limits or modules, and it ends with the test, however that ends.
 */

import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { dieWithParent } from '../../functions/up/command.ts'
import { Program, runProgram, waitUntil } from './program.ts'

/** A read-only view inside, of a file or folder outside. */
export interface View {
  readonly source: string
  readonly target: string
}

const PATH = '/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin'
const HOST_NAME = 'unithost'
const BOOT_MILLISECONDS = 60_000
const COMMAND_MILLISECONDS = 60_000
/** A container's root is the kernel's root: these reach beyond every namespace. */
const TAKEN_CAPABILITIES = '-sys_module,-sys_time,-sys_rawio'

const NAMESPACES = ['--cgroup', '--pid', '--net', '--uts', '--ipc', '--mount']

/**
 * $1 the folder, $2 the control group's name, $3 the script that boots, then its parameters. systemd needs a control group of
 * version 2 that it sees as the topmost: the one that this shell is in when it makes the namespace.
 */
const ENTER_SCRIPT = `
set -eu
mount -t tmpfs -o mode=755 slurmgate "$1"
mkdir "$1/groups" "$1/changes" "$1/work" "$1/root"
mount -t cgroup2 cgroup2 "$1/groups"
mkdir "$1/groups/$2"
echo $$ > "$1/groups/$2/cgroup.procs"
folder=$1 script=$3; shift 3
exec unshare ${NAMESPACES.join(' ')} --fork --kill-child=SIGKILL sh -c "$script" boot "$folder" "$@"
`

/**
 * $1 the folder, $2 the Debian root, then source and target of each view. /proc/self is this shell as the tests number it.
 * /proc/sys and /sys are read-only because they are the machine's: systemd raises limits there when it starts.
 */
const BOOT_SCRIPT = `
set -eu
read -r pid rest < /proc/self/stat
folder=$1 root=$1/root
mount -t overlay -o "lowerdir=$2,upperdir=$folder/changes,workdir=$folder/work" overlay "$root"
shift 2
while [ $# -ge 2 ]; do
  if [ -d "$1" ]; then mkdir -p "$root$2"; else mkdir -p "$(dirname "$root$2")"; touch "$root$2"; fi
  mount --bind "$1" "$root$2"; mount -o remount,bind,ro "$root$2"
  shift 2
done
cd "$root"
umount "$folder/groups"
mount -t proc proc proc
mount --bind proc/sys proc/sys; mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 dev dev
for device in null zero full random urandom tty; do touch dev/$device; mount --bind /dev/$device dev/$device; done
ln -s /proc/self/fd dev/fd
ln -s pts/ptmx dev/ptmx
mkdir dev/shm dev/pts
mount -t devpts -o newinstance,ptmxmode=666,mode=620 pts dev/pts
mount -t tmpfs -o mode=1777 tmp tmp
mount -t tmpfs -o mode=755 run run
echo "127.0.0.1 localhost ${HOST_NAME}" > etc/hosts
echo ${HOST_NAME} > etc/hostname
hostname ${HOST_NAME}
mkdir outside
pivot_root . outside
umount -l outside
rmdir outside
echo "process $pid"
exec env -i container=slurmgate PATH=${PATH} setpriv --bounding-set=${TAKEN_CAPABILITIES} \\
  /usr/lib/systemd/systemd --unit=basic.target --show-status=0
`

/** @returns null where such a host can be booted, else why not, in words. */
export function findSystemdObstacle(): string | null {
  if (process.getuid?.() !== 0) return 'a systemd of its own needs root'
  for (const [attempt, script] of [
    ['namespaces', 'true'],
    ['control groups of version 2', 'mount -t cgroup2 probe /mnt && mkdir "/mnt/$0" && rmdir "/mnt/$0"'],
    ['overlay mounts', 'mount -t tmpfs probe /mnt && cd /mnt && mkdir a b c d && mount -t overlay -o lowerdir=a,upperdir=b,workdir=c probe d'],
  ] as const) {
    try {
      const parameters = [...NAMESPACES, '--fork', 'sh', '-ec', script, `slurmgate-probe-${process.pid}`]
      execFileSync('unshare', parameters, { stdio: 'ignore' })
    } catch {
      return `a systemd of its own needs ${attempt}, which are not possible here`
    }
  }
  return null
} // prettier-ignore

export class SystemdHost {
  readonly #program: Program
  readonly #directory: string
  readonly #group: string
  /** Process 1, as the tests number it. */
  readonly pid: number

  private constructor(program: Program, directory: string, group: string, pid: number) {
    this.#program = program
    this.#directory = directory
    this.#group = group
    this.pid = pid
  }

  /** @param root a Debian root with systemd; stays as it is. @throws when systemd does not come up. */
  static async start(root: string, views: readonly View[]): Promise<SystemdHost> {
    if (!existsSync(join(root, 'usr/lib/systemd/systemd'))) throw new Error(`no systemd in ${root}`)
    const directory = mkdtempSync(join(tmpdir(), 'slurmgate-host-'))
    const group = `slurmgate-host-${String(process.pid)}-${String(Date.now())}`
    const [command = '', ...parameters] = buildBootCommand(directory, group, root, views)
    const program = new Program(command, parameters, { environment: { PATH } })
    const readPid = (): number => Number(/^process (\d+)$/m.exec(program.stdout)?.[1] ?? 0)
    const findFailure = (): void => {
      if (!program.isRunning) throw new Error(`the host did not boot: ${program.lines.join('\n')}`)
    }
    try {
      await waitUntil('the host has a process 1', () => (findFailure(), readPid() > 0), BOOT_MILLISECONDS)
      const host = new SystemdHost(program, directory, group, readPid())
      const isUp = async (): Promise<boolean> => {
        findFailure()
        const state = await host.try('systemctl', 'is-system-running')
        return /^(running|degraded)$/m.test(state)
      }
      await waitUntil('systemd is up', isUp, BOOT_MILLISECONDS)
      return host
    } catch (error) {
      await program.stop('SIGKILL')
      rmSync(directory, { recursive: true, force: true })
      removeGroup(group)
      throw error
    }
  }

  /** What a command begins with to run in here as root, with this host's environment and nothing of the tests'. */
  get prefix(): readonly string[] {
    return ['nsenter', `--target=${this.pid}`, '--all', '--', 'env', '-i', `PATH=${PATH}`, 'LC_ALL=C.UTF-8']
  }

  /** What a command of the tests' own begins with to reach this host's network and nothing else of it. */
  get networkPrefix(): readonly string[] {
    return ['nsenter', `--target=${this.pid}`, '--net', '--']
  }

  /** Runs a command in here to its end. @throws when it fails. */
  async run(...command: readonly string[]): Promise<string> {
    const [program = '', ...parameters] = [...this.prefix, ...command]
    return runProgram(program, parameters, { timeoutMilliseconds: COMMAND_MILLISECONDS })
  }

  /** Like `run`, whatever its exit code. @returns all that it printed. */
  async try(...command: readonly string[]): Promise<string> {
    const [program = '', ...parameters] = [...this.prefix, ...command]
    const running = new Program(program, parameters)
    const timer = setTimeout(() => void running.stop('SIGKILL'), COMMAND_MILLISECONDS)
    await running.exit
    clearTimeout(timer)
    return running.lines.join('\n')
  }

  /** A file of this host as the tests reach it. */
  path(inside: string): string {
    return join(`/proc/${String(this.pid)}/root`, inside)
  }

  write(inside: string, content: string | Uint8Array, mode: number): void {
    writeFileSync(this.path(inside), content, { mode })
  }

  /** Its process 1 ends, and the kernel ends all others with it. */
  async stop(): Promise<void> {
    // Process 1 and not unshare: whose orphan it would be, nobody might take note of its end.
    if (this.#program.isRunning) process.kill(this.pid, 'SIGKILL')
    await this.#program.exit
    rmSync(this.#directory, { recursive: true, force: true })
    removeGroup(this.#group)
  }
}

function buildBootCommand(
  directory: string,
  group: string,
  root: string,
  views: readonly View[],
): readonly string[] {
  const pairs = views.flatMap(({ source, target }) => [source, target])
  return dieWithParent([
    ...['unshare', '--mount', '--propagation', 'private', 'sh', '-c', ENTER_SCRIPT, 'enter'],
    ...[directory, group, BOOT_SCRIPT, root, ...pairs],
  ])
}

/** The kernel keeps a control group that is empty; its last process may take a moment to be gone. */
function removeGroup(name: string): void {
  const script = `
mount -t cgroup2 cgroup2 /mnt
for attempt in 1 2 3 4 5 6 7 8 9 10; do
  [ -d "/mnt/$0" ] || exit 0
  find "/mnt/$0" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.2
done
exit 1`
  execFileSync('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', script, name], {
    stdio: 'ignore',
  })
}
