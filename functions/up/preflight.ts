/** Finds everything that keeps `npm run up` from working here, all at once, before anything is changed. */
import { existsSync } from 'node:fs'
import { readFile, statfs } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { runCommand } from './command.ts'
import { readHostChanges } from './host-changes.ts'
import { inspectHostMunge, type HostMunge } from './host-munge.ts'
import { findHostUser } from './host-users.ts'
import { isPortFree } from './port.ts'
import { findRunningUp } from './running-up.ts'
import type { UpSettings } from './up-settings.ts'

const neededBytes = 2 * 1024 ** 3
const slurmConfigs = ['/etc/slurm/slurm.conf', '/etc/slurm-llnl/slurm.conf']

export interface Preflight {
  problems: string[]
  munge: HostMunge
}

/** What is needed however Slurm is reached. */
export async function findCommonProblems(settings: UpSettings): Promise<string[]> {
  const problems: string[] = []
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major < 20 || (major === 20 && minor < 19))
    problems.push(`Node 20.19 or newer (this is ${process.version})`)
  for (const [name, port] of [
    ['PORT', settings.gatewayPort],
    ['VERIFIER_PORT', settings.verifierPort],
  ] as const) {
    if (!(await isPortFree(port))) {
      problems.push(`a free port ${port} on 127.0.0.1: something listens there; set ${name} to another one`)
    }
  }
  return problems
}

/** What is needed to bring a cluster up on this host, and what of the operator's is in the way. */
export async function inspectHost(settings: UpSettings): Promise<Preflight> {
  const runningUp = await findRunningUp()
  if (runningUp !== null) {
    return { problems: [`that the npm run up with process id ${runningUp} ends first`], munge: 'own' }
  }
  const problems = [...(await findMachineProblems(settings)), ...(await findCommonProblems(settings))]
  const slurmConf = slurmConfigs.find((path) => existsSync(path))
  if (slurmConf && !settings.isBesideSlurm) {
    problems.push(
      `a host without its own Slurm: found ${slurmConf}. Use that one with SLURMRESTD_URL=…, or bring the demonstration up ` +
        'beside it, on its own ports and with its own state: npm run up -- --beside-slurm',
    )
  }
  const munge = await inspectHostMunge()
  if (munge !== 'own' && !settings.usesHostMunge) {
    const found = munge === 'running' ? 'a munged that answers' : '/etc/munge/munge.key'
    problems.push(`a host without its own MUNGE: found ${found}. Use it with: npm run up -- --use-munged`)
  }
  problems.push(...(await findUserProblems(settings)))
  return { problems, munge }
}

async function findMachineProblems({ cacheDir, suite }: UpSettings): Promise<string[]> {
  const problems: string[] = []
  const osRelease = await readFile('/etc/os-release', 'utf8').catch(() => '')
  const isDebian = /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(osRelease) && existsSync('/usr/bin/apt-get')
  if (!isDebian) problems.push('Debian or Ubuntu (apt-get and debootstrap bring Slurm)')
  if (process.getuid?.() !== 0) {
    problems.push('root: debootstrap, chroot and the users of the cluster need it (sudo npm run up)')
  } else if ((await runCommand(['unshare', '--mount', '--pid', '--uts', '--fork', 'true'])).code !== 0) {
    problems.push('the right to make namespaces (CAP_SYS_ADMIN): in Docker, start with --privileged')
  }
  if (!hasOutsideIpv4()) {
    problems.push(
      'an IPv4 address that is not loopback: without one Slurm resolves no name (AI_ADDRCONFIG, getaddrinfo(3))',
    )
  }
  if (!existsSync(`${cacheDir}/${suite}`)) {
    const { bavail, bsize } = await statfs('/var')
    if (bavail * bsize < neededBytes)
      problems.push(`2 GB of free space below ${cacheDir} and /var/lib/slurmgate`)
  }
  return problems
}

async function findUserProblems({ demoUser, serviceUser }: UpSettings): Promise<string[]> {
  const problems: string[] = []
  const { users } = await readHostChanges()
  for (const name of [demoUser, serviceUser]) {
    const found = await findHostUser(name)
    if (found && !users.includes(name) && found.uid < 1000) {
      problems.push(
        `a user ${name} with a uid of 1000 or more: this host's ${name} is ${found.uid} and stays as it is`,
      )
    }
  }
  return problems
}

function hasOutsideIpv4(): boolean {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  return addresses.some(({ family, internal }) => family === 'IPv4' && !internal)
}
