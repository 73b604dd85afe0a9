/**
 * `npm run up`: from a bare checkout to a running gate in front of a real Slurm, with the published examples run against it.
 * It stays up until Ctrl-C and leaves no process and no mount behind, whenever it is stopped.
 */
import { createCleanup } from './up/cleanup.ts'
import { demonstrate, type DemonstrationInput } from './up/demonstration.ts'
import { findMissingPackages, installPackages } from './up/host-packages.ts'
import { defaultMungeSocket } from './up/host-munge.ts'
import { isMungedAnswering } from './up/munged.ts'
import { findCommonProblems, inspectHost } from './up/preflight.ts'
import { findHostUser } from './up/host-users.ts'
import { claimRunningUp } from './up/running-up.ts'
import { bringUpGate, bringUpSlurm, type SlurmAccess, type StackContext } from './up/stack.ts'
import { describeEnd, describeStanding } from './up/summary.ts'
import { createTranscript } from './up/transcript.ts'
import { parseUpSettings, usage, type UpSettings } from './up/up-settings.ts'

const EXIT_FAILED = 1
const EXIT_CANNOT = 2
const EXIT_INTERRUPTED = 130

type MungeUser = DemonstrationInput['mungeUser']

async function main(): Promise<number> {
  const settings = parseUpSettings(process.argv.slice(2), process.env)
  if ('problems' in settings) return refuse(settings.problems)
  if (settings.isHelp) {
    process.stdout.write(`${usage}\n`)
    return 0
  }
  if (settings.isPackagesOnly) {
    const missing = findMissingPackages({ forTests: true })
    if (missing.length > 0) await installPackages(missing, (line) => process.stdout.write(`${line}\n`))
    return 0
  }
  const host = settings.slurmrestdUrl === null ? await inspectHost(settings) : null
  const problems = host ? host.problems : await findCommonProblems(settings)
  if (problems.length > 0) return refuse(problems)

  const transcript = createTranscript()
  const cleanup = createCleanup((text) => transcript.say(text))
  const interruption = listenForSignals()
  const context: StackContext = { settings, transcript, cleanup, signal: interruption.signal }
  if (host) cleanup.add('the pid file', await claimRunningUp())
  try {
    const slurm = host ? await bringUpSlurm(context, host.munge) : await findGivenSlurm(settings)
    const mungeUser: MungeUser = host ? { name: settings.demoUser } : await findMungeUser(settings, slurm)
    const stack = await bringUpGate(context, slurm)
    const isAllWell = await demonstrate({ stack, transcript, mungeUser, signal: interruption.signal })
    if (settings.isOnce) return isAllWell ? 0 : EXIT_FAILED
    transcript.say(describeStanding(settings, stack, isAllWell))
    const ending = await Promise.race([
      interruption.received,
      ...stack.gate.daemons.map(({ name, ended, logFile }) =>
        ended.then(() => `${name} ended by itself: see ${logFile}`),
      ),
    ])
    if (interruption.signal.aborted) return 0
    transcript.say(ending)
    return EXIT_FAILED
  } catch (error) {
    if (interruption.signal.aborted) return EXIT_INTERRUPTED
    transcript.say(`\nThat did not work: ${error instanceof Error ? error.message : String(error)}`)
    return EXIT_FAILED
  } finally {
    transcript.say('\nStopping …')
    await cleanup.run()
    transcript.say(await describeEnd(settings))
  }
}

function refuse(problems: readonly string[]): number {
  process.stderr.write(
    `npm run up cannot work here. It needs:\n${problems.map((line) => ` - ${line}\n`).join('')}`,
  )
  return EXIT_CANNOT
}

/** The first signal asks for an orderly end, the second one ends us at once: the kernel then ends what we started. */
function listenForSignals(): { signal: AbortSignal; received: Promise<string> } {
  const controller = new AbortController()
  const received = new Promise<string>((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(name, () => {
        if (controller.signal.aborted && name !== 'SIGHUP') process.exit(EXIT_INTERRUPTED)
        controller.abort(new Error(name))
        resolve(name)
      })
    }
  })
  return { signal: controller.signal, received }
}

async function findGivenSlurm(settings: UpSettings): Promise<SlurmAccess> {
  const socket = settings.mungeSocket ?? defaultMungeSocket
  return {
    settings: { SLURMRESTD_URL: settings.slurmrestdUrl ?? '', ...settings.slurmKey },
    mungeSocket: (await isMungedAnswering(socket)) ? socket : null,
  }
}

/** With somebody else's Slurm: root needs to be told whom to be, everybody else is who they are. */
async function findMungeUser(settings: UpSettings, slurm: SlurmAccess): Promise<MungeUser> {
  if (slurm.mungeSocket === null) return { absentBecause: 'no munged answers on this host' }
  if (process.getuid?.() !== 0) return 'self'
  const name = process.env['UP_DEMO_USER']
  if (!name) return { absentBecause: 'root gets no MUNGE access: set UP_DEMO_USER to a user of that Slurm' }
  return (await findHostUser(name))
    ? { name }
    : { absentBecause: `this host has no user ${settings.demoUser}` }
}

process.exitCode = await main()
