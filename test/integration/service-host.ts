/** A host with a real systemd and munged, on which README.md's "The verifier as a service" was followed to the letter. */

import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { buildProgram } from '../support/build-program.ts'
import { runProgram, waitUntil } from '../support/program.ts'
import type { ProbeAnswer, ProbeQuestion } from '../support/sandbox-probe.ts'
import { SystemdHost } from '../support/systemd-host.ts'

export const SERVICE = 'slurmgate-verifier.service'
export const SERVICE_FILE = `/etc/systemd/system/${SERVICE}`
export const SETTINGS_FILE = '/etc/slurmgate/verifier.env'
export const SERVICE_USER = 'slurmgate'
export const ALICE_UID = 6001
const CODE = '/opt/slurmgate'
const PROBE_FILE = '/opt/probe/probe.cjs'
const QUESTION_FILE = '/opt/probe/question.json'
const DROP_IN = `/run/systemd/system/${SERVICE}.d/probe.conf`
const VERIFIER_URL = 'http://127.0.0.1:8081'
/** `RestartSec=`, two starts and a slow machine. */
const RECOVERY_MILLISECONDS = 15_000
const REPOSITORY = join(import.meta.dirname, '../..')

export interface ServiceHost {
  readonly host: SystemdHost
  /** A property of systemctl show, of the verifier unless another unit is named. */
  show(property: string, unit?: string): Promise<string>
  /** Makes a credential as that user and has the gateway's own code ask the verifier. @returns what it says. */
  verify(uid: number): Promise<Readonly<Record<string, unknown>>>
  /** Waits until the verifier accepts alice's credentials. */
  waitUntilItVerifies(): Promise<void>
  /** What the verifier, or what stood in its place, printed since it was last started. */
  readJournal(): Promise<string>
  /** Adds lines to the unit's [Service] while `work` runs, in which nothing is started again by itself; then undoes it. */
  withDropIn<Result>(lines: string, work: () => Promise<Result>): Promise<Result>
  /** What can be done in the verifier's place, in its sandbox. */
  probeInside(question: ProbeQuestion): Promise<ProbeAnswer>
  /** What the same user can do on this host without the sandbox. */
  probeOutside(question: ProbeQuestion): Promise<ProbeAnswer>
  stop(): Promise<void>
}

/** The commands of README.md. */
export function readCommands(): string {
  const readme = readFileSync(join(REPOSITORY, 'README.md'), 'utf8')
  const block = /<!-- service:begin -->\n```\n([^]*?)```\n<!-- service:end -->/.exec(readme)?.[1]
  if (block === undefined) throw new Error('README.md has no commands for the service')
  return block
}

/** @param root a Debian root with systemd and munge. */
export async function startServiceHost(root: string): Promise<ServiceHost> {
  const programs = mkdtempSync(join(tmpdir(), 'slurmgate-probe-'))
  for (const name of ['sandbox-probe', 'ask-verifier']) {
    buildProgram(`import './test/support/${name}.ts'`, join(programs, `${name}.cjs`))
  }
  const code = ['dist', 'functions', 'node_modules', 'package.json', 'README.md']
  const host = await SystemdHost.start(root, [
    { source: process.execPath, target: '/usr/bin/node' },
    ...code.map((name) => ({ source: realpathSync(join(REPOSITORY, name)), target: `${CODE}/${name}` })),
    { source: join(programs, 'sandbox-probe.cjs'), target: PROBE_FILE },
  ])
  const stop = async (): Promise<void> => {
    await host.stop()
    rmSync(programs, { recursive: true, force: true })
  }
  try {
    await prepareMunge(host)
    await host.run('useradd', '--uid', String(ALICE_UID), '--no-create-home', 'alice')
    await host.run('sh', '-euc', `cd ${CODE}\n${readCommands()}`)
  } catch (cause) {
    const journal = await host.try('journalctl', '--quiet', '--no-pager', '--lines=40')
    await stop()
    throw new Error(`the commands of README.md do not bring the service up:\n${journal}`, { cause })
  }
  return { ...describeService(host, programs), stop }
}

/** The Debian root has munge's package installed, and neither a key nor folders that are its user's. */
async function prepareMunge(host: SystemdHost): Promise<void> {
  host.write('/etc/munge/munge.key', randomBytes(128), 0o400)
  const folders = ['/etc/munge', '/var/lib/munge', '/var/log/munge']
  await host.run('sh', '-euc', `mkdir -p "$@"; chmod 700 "$@"; chown -R munge:munge "$@"`, 'sh', ...folders)
}

function describeService(host: SystemdHost, programs: string): Omit<ServiceHost, 'stop'> {
  async function verify(uid: number): Promise<Readonly<Record<string, unknown>>> {
    const identity = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups']
    const credential = await host.run(...identity, 'munge', '-n', '-t', '5')
    const [, key = ''] =
      /^MUNGE_VERIFIER_KEY=(.*)$/m.exec(readFileSync(host.path(SETTINGS_FILE), 'utf8')) ?? []
    const [command = '', ...parameters] = host.networkPrefix
    const program = [process.execPath, join(programs, 'ask-verifier.cjs'), VERIFIER_URL, key]
    const answer = await runProgram(command, [...parameters, ...program], { input: credential })
    return JSON.parse(answer) as Readonly<Record<string, unknown>>
  }
  const show = async (property: string, unit = SERVICE): Promise<string> =>
    (await host.run('systemctl', 'show', '--property', property, '--value', unit)).trim()
  const readJournal = async (): Promise<string> =>
    host.run('journalctl', '--quiet', '--output=cat', `_SYSTEMD_INVOCATION_ID=${await show('InvocationID')}`)

  async function withDropIn<Result>(text: string, work: () => Promise<Result>): Promise<Result> {
    await host.run('mkdir', '-p', dirname(DROP_IN))
    host.write(DROP_IN, `[Service]\nRestart=no\n${text}\n`, 0o644)
    await host.run('systemctl', 'daemon-reload')
    try {
      return await work()
    } finally {
      await host.run('rm', DROP_IN)
      await host.run('systemctl', 'daemon-reload')
      await host.run('systemctl', 'restart', SERVICE)
    }
  }

  return {
    host,
    show,
    verify,
    waitUntilItVerifies: () =>
      waitUntil(
        'the verifier verifies',
        async () =>
          verify(ALICE_UID).then(
            ({ user }) => user === 'alice',
            () => false,
          ),
        RECOVERY_MILLISECONDS,
      ),
    readJournal,
    withDropIn,
    async probeInside(question) {
      host.write(QUESTION_FILE, JSON.stringify(question), 0o644)
      const start = `ExecStart=\nExecStart=/usr/bin/node ${PROBE_FILE} ${QUESTION_FILE}`
      return withDropIn(start, async () => {
        await host.run('systemctl', 'restart', SERVICE)
        let found: string | undefined
        await waitUntil('the probe has answered', async () => {
          found = /^\{"readable".*$/m.exec(await readJournal())?.[0]
          return found !== undefined
        })
        return JSON.parse(found ?? '') as ProbeAnswer
      })
    },
    async probeOutside(question) {
      host.write(QUESTION_FILE, JSON.stringify(question), 0o644)
      const identity = ['setpriv', '--reuid', SERVICE_USER, '--regid', SERVICE_USER, '--clear-groups']
      const answer = await host.run(...identity, 'node', PROBE_FILE, QUESTION_FILE)
      return JSON.parse(answer) as ProbeAnswer
    },
  }
}
