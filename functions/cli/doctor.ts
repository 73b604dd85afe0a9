/** `slurmgate doctor`: one line for each dependency, after a real round trip with the gateway's own settings, and for each key. */

import { sql } from 'drizzle-orm'
import { discardBody } from '../../src/byte-stream.ts'
import { createClockAlarm } from '../../src/clock-alarm.ts'
import { createGuardedUpstream } from '../../src/guarded-upstream.ts'
import { CLOCK_SKEW_MAX_SECONDS } from '../../src/limits.ts'
import { createVerifierChannel, type VerifierChannel } from '../../src/munge/verifier-channel.ts'
import type { Log, MungeVerifier } from '../../src/ports.ts'
import { type GatewaySettings, parseGatewaySettings } from '../../src/settings.ts'
import { type Database, openDatabase } from '../../src/tokens/database.ts'
import { createTokenStore } from '../../src/tokens/token-store.ts'
import { readHostMapFile } from '../node/host-map-file.ts'
import { readKeyFile } from '../node/key-file.ts'
import { createLocalVerifier } from '../node/local-verifier.ts'
import { createSlurmrestdUpstream } from '../node/slurmrestd-pool.ts'
import { withOwnNames } from './catalog-names.ts'
import { type Command, CommandFailure, type CommandContext, parseOptions, UsageError } from './command.ts'
import { findExcessRights } from './excess-rights.ts'
import { type Check, find, type Finding, type Said } from './finding.ts'
import { checkKeys } from './key-ages.ts'
import { trySigner, trySlurmKey } from './slurm-key-trial.ts'
import { formatTable } from './table.ts'

const UPSTREAM_TIMEOUT_MILLISECONDS = 5_000

export const diagnose: Command = async (args, context) => {
  const { values } = parseOptions(args, { json: { type: 'boolean' } })
  const settings = parseGatewaySettings({ env: context.env, runtime: 'node', readKeyFile })
  if ('problems' in settings) throw new UsageError(...settings.problems)
  const findings = await checkAll(settings, context)
  if (values.json === true) context.print(JSON.stringify(findings) + '\n')
  else
    context.print(formatTable(findings.map(({ dependency, state, detail }) => [state, dependency, detail])))
  return findings.some(({ state }) => state === 'FAILED') ? 1 : 0
}

const MUNGE_OFF: Finding = { dependency: 'munge', state: 'off', detail: 'MUNGE_MODE' }

async function checkAll(settings: GatewaySettings, context: CommandContext): Promise<readonly Finding[]> {
  const { signing } = settings
  const { db, close } = openDatabase(settings.databaseUrl, { max: 2 })
  const skews: string[] = []
  const channel = buildChannel(settings, context, buildSkewLog(skews))
  const verifier = buildVerifier(settings, context, { channel, log: buildSkewLog(skews) })
  try {
    const findings = await Promise.all([
      find('token store', async () => {
        await createTokenStore(db).check()
        return 'answers; the schema fits'
      }),
      find('database role', () => judgeRole(db)),
      find('clock', () => compareClocks(db, context)),
      checkSlurm(settings, context),
      verifier === null ? MUNGE_OFF : find('munge', ask(verifier, skews)),
      ...findHostMapFile(settings).map((path) => find('host map', () => readHostMap(path))),
      signing.signer === 'verifier' && channel !== null ? trySigner(channel, signing.encryptionKey) : [],
      checkKeys(context, db),
    ])
    return findings.flat()
  } finally {
    await close()
  }
}

async function judgeRole(db: Database): Promise<Said> {
  const excess = await withOwnNames(db, findExcessRights)
  if (excess.length === 0) return 'can do no more than a gateway needs'
  return { warning: `${excess.join('; ')}: more than a gateway needs; see: slurmgate db grants` }
}

async function compareClocks(db: Database, context: CommandContext): Promise<string> {
  const before = context.clock()
  const [row] = await db.query((drizzle) =>
    drizzle.execute<{ seconds: number }>(
      sql`select extract(epoch from pg_catalog.clock_timestamp())::pg_catalog.float8 as seconds`,
    ),
  )
  const here = (before + context.clock()) / 2_000
  const skew = Math.round((Number(row?.seconds) - here) * 10) / 10
  const text = `Postgres's clock differs from this host's by ${skew} s`
  if (!(Math.abs(skew) <= CLOCK_SKEW_MAX_SECONDS)) throw new CommandFailure(text)
  return text
}

/** Who does not reach slurmrestd learns nothing of what is behind it. */
async function checkSlurm(settings: GatewaySettings, context: CommandContext): Promise<readonly Finding[]> {
  const slurmrestd = await find('slurmrestd', () => askSlurmrestd(settings))
  if (settings.signing.signer === 'verifier') return [slurmrestd]
  if (slurmrestd.state !== 'FAILED') return [slurmrestd, ...(await trySlurmKey(context))]
  const detail = 'not asked: slurmrestd does not answer'
  return [
    slurmrestd,
    ...['slurmctld', 'slurmdbd'].map((dependency) => ({ dependency, state: 'off', detail }) as const),
  ]
}

/** Without a Slurm token slurmrestd refuses; that it does is an answer. */
async function askSlurmrestd(settings: GatewaySettings): Promise<string> {
  const upstream = createSlurmrestdUpstream(settings.slurmrestd, 1)
  try {
    const { status, body } = await createGuardedUpstream(upstream).send({
      method: 'GET',
      target: '/openapi/v3',
      headers: { accept: 'application/json' },
      body: null,
      timeoutMilliseconds: UPSTREAM_TIMEOUT_MILLISECONDS,
    })
    await discardBody(body)
    return `answers (HTTP ${status} without a token)`
  } finally {
    void upstream.close().catch(() => undefined)
  }
}

function ask(verifier: Pick<MungeVerifier, 'check'>, skews: readonly string[]): Check {
  return async () => {
    await verifier.check()
    if (skews.length > 0) throw new CommandFailure(`answers, but ${skews.join(' and ')}`)
    return 'answers'
  }
}

function findHostMapFile({ munge }: GatewaySettings): readonly string[] {
  return munge.mode === 'local' && munge.policy.hostMapFile !== null ? [munge.policy.hostMapFile] : []
}

function readHostMap(path: string): Promise<string> {
  const reading = readHostMapFile(path)
  if ('problems' in reading) return Promise.reject(new CommandFailure(reading.problems.join('; ')))
  const { hosts, sharedHosts } = reading.map
  return Promise.resolve(`${hosts} hosts, ${sharedHosts} of them behind shared addresses`)
}

/** Collects what the services would alarm, in words. */
function buildSkewLog(skews: string[]): Log {
  return {
    write(_level, event, { clock, seconds }) {
      if (event === 'clock_skew')
        skews.push(`the clock of ${String(clock)} differs from this host's by ${String(seconds)} s`)
    },
  }
}

function buildChannel(
  { verifier, signing }: GatewaySettings,
  { clock, randomBytes }: CommandContext,
  log: Log,
): VerifierChannel | null {
  if (verifier === null) return null
  const watchClock = createClockAlarm({ clock, log })
  const encryptionKey = signing.signer === 'verifier' ? signing.encryptionKey : null
  return createVerifierChannel({ ...verifier, encryptionKey, fetch, clock, randomBytes, watchClock })
}

function buildVerifier(
  { munge }: GatewaySettings,
  { clock }: CommandContext,
  { channel, log }: { channel: VerifierChannel | null; log: Log },
): Pick<MungeVerifier, 'check'> | null {
  if (munge.mode === 'local') return createLocalVerifier({ policy: munge.policy, hostMap: null, clock, log })
  return channel
}
