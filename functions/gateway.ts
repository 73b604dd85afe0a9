/** The gateway process on Node: hands the runtime in, serves, and stops when told. */

import { randomBytes } from 'node:crypto'
import { buildGateway } from '../src/build-gateway.ts'
import { createClockAlarm } from '../src/clock-alarm.ts'
import type { Environment } from '../src/environment.ts'
import { createRemoteVerifier } from '../src/munge/remote-verifier.ts'
import type { Clock, Log, MungeVerifier, ReplayGuard } from '../src/ports.ts'
import { parseGatewaySettings, type GatewaySettings } from '../src/settings.ts'
import { isUsableKey } from '../src/slurm-token.ts'
import { createSparingLine } from '../src/sparing-line.ts'
import { describeDatabaseError, isSchemaMisfit } from '../src/tokens/database-error.ts'
import { openDatabase, type Database } from '../src/tokens/database.ts'
import { createLocalReplayGuard, createPostgresReplayGuard } from '../src/tokens/replay-guard.ts'
import { createTokenStore, requireSchema } from '../src/tokens/token-store.ts'
import { openHostMap, type HostMapWatch } from './node/host-map-watch.ts'
import { createHttpServer, readTls } from './node/http-server.ts'
import { createJsonLog } from './node/json-log.ts'
import { readKeyFile } from './node/key-file.ts'
import { createLocalVerifier } from './node/local-verifier.ts'
import { nodeSha256 } from './node/node-sha256.ts'
import { createNodeRequestReader } from './node/request-reader.ts'
import { findStopSignal } from './node/stop-signal.ts'
import { GATEWAY_SERVER_LIMITS } from './node/server-limits.ts'
import { createUndiciPost } from './node/undici-post.ts'
import { createUndiciUpstream } from './node/undici-upstream.ts'

const EXIT_FAILED = 1
const EXIT_CONFIGURATION = 2
const STOP_MILLISECONDS = 10_000

const now: Clock = () => Date.now()
const randomUint8Array = (length: number): Uint8Array => randomBytes(length)

/**
 * Serves until SIGTERM or SIGINT. Bad settings are printed all at once, by name, and set exit code 2.
 * @throws where it cannot listen.
 */
export async function runGateway(env: Environment): Promise<void> {
  const settings = parseGatewaySettings({ env, runtime: 'node', readKeyFile })
  if ('problems' in settings) {
    reportProblems(settings.problems)
    return
  }
  const { listener } = settings
  if (listener === null) throw new TypeError('settings for Node have a listener')
  const problems: string[] = []
  const tls = 'unixPath' in listener ? null : readTls(listener.tls, problems)
  if (!(await isUsableKey(settings.slurmKey)))
    problems.push('SLURM_JWT_RS256_JWK (or its _FILE) is not a usable private key')
  const { munge } = settings
  const hostMap = openHostMap(munge.mode === 'local' ? munge.policy.hostMapFile : null, problems)
  if (problems.length > 0) {
    reportProblems(problems)
    return
  }

  const log = createJsonLog({ level: settings.logLevel, clock: now })
  const database = openDatabase(settings.databaseUrl)
  const upstream = createUndiciUpstream(
    settings.slurmrestd,
    settings.upstreamMaxConcurrency + SPARE_CONNECTIONS,
  )
  if (!(await isSchemaFit(database.db, log))) {
    process.exitCode = EXIT_FAILED
    return database.close()
  }
  const app = buildGateway(settings, {
    upstream,
    tokens: createTokenStore(database.db),
    replays: buildReplayGuard(settings, database.db, log),
    munge: buildVerifier(settings, hostMap, log),
    reader: createNodeRequestReader(now),
    maySharePromises: true,
    now,
    randomBytes: randomUint8Array,
    log,
  })
  const logDrop = createSparingLine(log, 'warn', 'connection_refused')
  const server = createHttpServer(app, listener, tls, {
    onDrop: () => logDrop({ connectionsMax: GATEWAY_SERVER_LIMITS.connectionsMax }),
  })
  await server.listen()
  log.write('info', 'gateway_started', describe(settings))
  hostMap?.start(log)
  log.write('info', 'gateway_stopping', { signal: await findStopSignal() })
  await server.stop(STOP_MILLISECONDS)
  await Promise.all([upstream.close(), database.close()])
}

/** Version discovery and readiness do not take slots. */
const SPARE_CONNECTIONS = 2

function reportProblems(problems: readonly string[]): void {
  process.stderr.write(problems.map((problem) => `slurmgate gateway: ${problem}\n`).join(''))
  process.exitCode = EXIT_CONFIGURATION
}

/** A schema that does not fit stops the start; a Postgres that does not answer is an outage of each request. */
async function isSchemaFit(db: Database, log: Log): Promise<boolean> {
  try {
    await requireSchema(db)
    return true
  } catch (cause) {
    const detail = describeDatabaseError(cause)
    if (isSchemaMisfit(cause)) process.stderr.write(`slurmgate gateway: ${detail}\n`)
    else log.write('warn', 'dependency_failed', { dependency: 'database', detail })
    return !isSchemaMisfit(cause)
  }
}

function buildReplayGuard(settings: GatewaySettings, db: Database, log: Log): ReplayGuard {
  return settings.replayGuard === 'local'
    ? createLocalReplayGuard(now)
    : createPostgresReplayGuard(db, { clock: now, log, maySharePromises: true })
}

function buildVerifier(
  { munge }: GatewaySettings,
  hostMap: HostMapWatch | null,
  log: Log,
): MungeVerifier | null {
  if (munge.mode === 'off') return null
  if (munge.mode === 'local') return createLocalVerifier({ policy: munge.policy, hostMap, clock: now, log })
  return createRemoteVerifier({
    url: munge.url,
    keys: munge.keys,
    fetch,
    post: createUndiciPost(munge.url),
    sha256: nodeSha256,
    watchClock: createClockAlarm({ clock: now, log }),
    clock: now,
    randomBytes: randomUint8Array,
  })
}

/** What an operator wants to see at the start; no key, no password. */
function describe(settings: GatewaySettings): Record<string, unknown> {
  const { listener, munge, slurmrestd, slurmKey, clientAddress, replayGuard, versions } = settings
  return {
    listener: listener === null ? null : 'unixPath' in listener ? `unix:${listener.unixPath}` : listener.host,
    port: listener === null || 'unixPath' in listener ? null : listener.port,
    tls: listener !== null && !('unixPath' in listener) && listener.tls !== null,
    slurmrestd: slurmrestd.kind === 'unix' ? `unix:${slurmrestd.path}` : slurmrestd.url.origin,
    slurmKey: slurmKey.algorithm,
    munge: munge.mode,
    areWritesBound: settings.areWritesBound,
    rateLimitPerSecond: settings.rateLimitPerSecond,
    clientAddressFrom: clientAddress.source,
    replayGuard,
    versions,
    pid: process.pid,
  }
}
