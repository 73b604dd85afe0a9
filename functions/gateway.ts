/** The gateway process on Node: hands the runtime in, serves, and stops when told. */

import { buildGateway } from '../src/build-gateway.ts'
import { createClockAlarm } from '../src/clock-alarm.ts'
import type { Environment } from '../src/environment.ts'
import { createGatewayApp } from '../src/gateway-app.ts'
import { createRemoteVerifier } from '../src/munge/remote-verifier.ts'
import { createVerifierChannel, type VerifierChannel } from '../src/munge/verifier-channel.ts'
import type { Clock, Log, MungeVerifier, ReplayGuard } from '../src/ports.ts'
import { parseGatewaySettings, type GatewaySettings } from '../src/settings.ts'
import { findSigningProblems } from '../src/signing-settings.ts'
import { createSparingLine } from '../src/sparing-line.ts'
import { openDatabase, type Database } from '../src/tokens/database.ts'
import { createChangeListener } from '../src/tokens/change-listener.ts'
import { createLocalReplayGuard, createPostgresReplayGuard } from '../src/tokens/replay-guard.ts'
import { createTokenStore } from '../src/tokens/token-store.ts'
import { createNodeDeliver } from './node/deliver.ts'
import { createDirectCall } from './node/direct-call.ts'
import { openHostMap, type HostMapWatch } from './node/host-map-watch.ts'
import { createHttpServer, readTls } from './node/http-server.ts'
import { createJsonLog } from './node/json-log.ts'
import { readKeyFile } from './node/key-file.ts'
import { createLineBatch } from './node/line-batch.ts'
import { createLocalVerifier } from './node/local-verifier.ts'
import { nodeSha256 } from './node/node-sha256.ts'
import { createRandomBytes } from './node/random-bytes.ts'
import { createIncomingReader, createNodeRequestReader } from './node/request-reader.ts'
import { isSchemaFit } from './node/schema-fit.ts'
import { findStopSignal } from './node/stop-signal.ts'
import { GATEWAY_SERVER_LIMITS } from './node/server-limits.ts'
import { createSlurmrestdUpstream } from './node/slurmrestd-pool.ts'
import { buildClientPace } from './node/write-answer.ts'

const EXIT_FAILED = 1
const EXIT_CONFIGURATION = 2
const STOP_MILLISECONDS = 10_000

const now: Clock = () => Date.now()
const randomUint8Array = createRandomBytes()

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
  problems.push(...(await findSigningProblems(settings.signing)))
  const { munge } = settings
  const hostMap = openHostMap(munge.mode === 'local' ? munge.policy.hostMapFile : null, problems)
  if (problems.length > 0) {
    reportProblems(problems)
    return
  }

  const lines = createLineBatch((text, onWritten) => process.stdout.write(text, onWritten))
  const log = createJsonLog({ level: settings.logLevel, clock: now, ...lines })
  const database = openDatabase(settings.databaseUrl)
  const upstream = createSlurmrestdUpstream(
    settings.slurmrestd,
    settings.slotLimits.all + SPARE_CONNECTIONS,
    settings.clientStallMilliseconds,
  )
  if (!(await isSchemaFit(database.db, 'slurmgate gateway', log))) {
    process.exitCode = EXIT_FAILED
    return database.close()
  }
  const channel = await buildChannel(settings, log)
  const tokenChanges = createChangeListener({
    url: settings.databaseUrl,
    ...{ log, now, randomBytes: randomUint8Array },
  })
  const gate = buildGateway(settings, {
    upstream,
    tokens: createTokenStore(database.db),
    tokenChanges,
    sha256: nodeSha256,
    replays: buildReplayGuard(settings, database.db, log),
    munge: buildVerifier(settings, { channel, hostMap, log }),
    channel,
    maySharePromises: true,
    now,
    uptime,
    randomBytes: randomUint8Array,
    log,
  })
  const logDrop = createSparingLine(log, 'warn', 'connection_refused')
  const pace = buildClientPace(settings.clientStallMilliseconds, settings.upstreamTimeoutMilliseconds)
  const readIncoming = createIncomingReader(now)
  const app = createGatewayApp({
    gate,
    readSentRequest: createNodeRequestReader(readIncoming),
    deliver: createNodeDeliver(pace),
  })
  const server = createHttpServer(app, listener, tls, {
    takeFirst: createDirectCall({ gate, readIncoming, pace }),
    limits: { ...GATEWAY_SERVER_LIMITS, stallMilliseconds: pace.stallMilliseconds },
    onDrop: () => logDrop({ connectionsMax: GATEWAY_SERVER_LIMITS.connectionsMax }),
  })
  tokenChanges.start()
  await server.listen()
  log.write('info', 'gateway_started', describe(settings))
  hostMap?.start(log)
  log.write('info', 'gateway_stopping', { signal: await findStopSignal() })
  await server.stop(STOP_MILLISECONDS)
  await Promise.all([upstream.close(), tokenChanges.close(), database.close()])
}

const uptime = (): number => performance.now()

/** Version discovery and readiness do not take slots. */
const SPARE_CONNECTIONS = 2

function reportProblems(problems: readonly string[]): void {
  process.stderr.write(problems.map((problem) => `slurmgate gateway: ${problem}\n`).join(''))
  process.exitCode = EXIT_CONFIGURATION
}

function buildReplayGuard(settings: GatewaySettings, db: Database, log: Log): ReplayGuard {
  return settings.replayGuard === 'local'
    ? createLocalReplayGuard(now)
    : createPostgresReplayGuard(db, { clock: now, uptime, log, maySharePromises: true })
}

async function buildChannel(
  { verifier, signing }: GatewaySettings,
  log: Log,
): Promise<VerifierChannel | null> {
  if (verifier === null) return null
  // A third of all the files that packages bring, for this alone.
  const { createUndiciPost } = await import('./node/undici-post.ts')
  return createVerifierChannel({
    ...verifier,
    encryptionKey: signing.signer === 'verifier' ? signing.encryptionKey : null,
    fetch,
    post: createUndiciPost(verifier.url),
    sha256: nodeSha256,
    watchClock: createClockAlarm({ clock: now, log }),
    clock: now,
    randomBytes: randomUint8Array,
  })
}

function buildVerifier(
  { munge, signing }: GatewaySettings,
  parts: { channel: VerifierChannel | null; hostMap: HostMapWatch | null; log: Log },
): MungeVerifier | null {
  const { channel, hostMap, log } = parts
  if (munge.mode === 'local') return createLocalVerifier({ policy: munge.policy, hostMap, clock: now, log })
  if (munge.mode === 'off' || channel === null) return null
  return createRemoteVerifier({ channel, isSignedThere: signing.signer === 'verifier', sha256: nodeSha256 })
}

/** What an operator wants to see at the start; no key, no password. */
function describe(settings: GatewaySettings): Record<string, unknown> {
  const { listener, munge, slurmrestd, signing, clientAddress, replayGuard, versions } = settings
  return {
    listener: listener === null ? null : 'unixPath' in listener ? `unix:${listener.unixPath}` : listener.host,
    port: listener === null || 'unixPath' in listener ? null : listener.port,
    tls: listener !== null && !('unixPath' in listener) && listener.tls !== null,
    slurmrestd: slurmrestd.kind === 'unix' ? `unix:${slurmrestd.path}` : slurmrestd.url.origin,
    slurmTokenSigner: signing.signer,
    slurmKey: signing.signer === 'gateway' ? signing.key.algorithm : null,
    munge: munge.mode,
    areWritesBound: settings.areWritesBound,
    rateLimitPerSecond: settings.rateLimitPerSecond,
    clientAddressFrom: clientAddress.source,
    /** A signer claims by itself. */
    replayGuard: signing.signer === 'gateway' ? replayGuard : null,
    versions,
    pid: process.pid,
  }
}
