/**
 * The gateway on Workers: the same app. A Worker may not share sockets or pending promises between requests, so each
 * look-up has a connection of its own; settings, versions and minted tokens are plain data and stay.
 */

import { waitUntil } from 'cloudflare:workers'
import { buildGateway } from '../src/build-gateway.ts'
import { createClockAlarm } from '../src/clock-alarm.ts'
import { deliverAsResponse } from '../src/gate-answer.ts'
import type { RequestReader } from '../src/gate-request.ts'
import { createRemoteVerifier } from '../src/munge/remote-verifier.ts'
import { createVerifierChannel, type VerifierChannel } from '../src/munge/verifier-channel.ts'
import { webSha256 } from '../src/munge/sha256.ts'
import type { Log, MungeVerifier, RandomBytes } from '../src/ports.ts'
import { readOriginForm } from '../src/request-target.ts'
import { parseGatewaySettings, type GatewaySettings } from '../src/settings.ts'
import { openDatabase, type Database } from '../src/tokens/database.ts'
import { createPostgresReplayGuard } from '../src/tokens/replay-guard.ts'
import { createTokenStore } from '../src/tokens/token-store.ts'
import { createConsoleLog } from './workerd/console-log.ts'
import { createFetchUpstream } from './workerd/fetch-upstream.ts'

type Gateway = ReturnType<typeof buildGateway>

const now = (): number => Date.now()
const randomBytes: RandomBytes = (length) => crypto.getRandomValues(new Uint8Array(length))

/** Whoever gets a Worker's secrets. */
const KEY_AT_EDGE =
  'whoever gets this Worker’s secrets is root on the cluster: use SLURM_TOKEN_SIGNER=verifier, or say SLURM_KEY_AT_EDGE=accept-cluster-root'

let gateway: Gateway | { readonly problems: readonly string[] } | null = null

export default {
  /** Bad settings answer 503 without their names; the log has them. */
  fetch(request: Request, env: Record<string, unknown>): Response | Promise<Response> {
    gateway ??= startGateway(env)
    if ('problems' in gateway) {
      for (const problem of gateway.problems) console.error(`slurmgate gateway: ${problem}`)
      return new Response('slurmgate is not configured\n', { status: 503, headers: { 'Retry-After': '60' } })
    }
    return gateway.fetch(request)
  },
}

function startGateway(bindings: Record<string, unknown>): Gateway | { readonly problems: readonly string[] } {
  const env = Object.fromEntries(
    Object.entries(bindings).flatMap(([name, value]) => {
      const text = readBinding(value)
      return text === null ? [] : [[name, text]]
    }),
  )
  const settings = parseGatewaySettings({ env, runtime: 'workerd', readKeyFile: null })
  if ('problems' in settings) return settings
  const log = createConsoleLog(settings.logLevel, now)
  if (settings.signing.signer === 'gateway' && settings.signing.isKeyAtEdge)
    log.write('warn', 'slurm_key_at_edge', { message: KEY_AT_EDGE })
  const db = createDatabasePerCall(settings.databaseUrl)
  const defer = (work: Promise<void>): void => waitUntil(work)
  const channel = buildChannel(settings, log)
  return buildGateway(settings, {
    upstream: createFetchUpstream(settings.slurmrestd, waitUntil),
    tokens: createTokenStore(db),
    tokenChanges: null,
    sha256: webSha256,
    replays: createPostgresReplayGuard(db, { clock: now, log, defer }),
    munge: buildVerifier(settings, channel, log),
    channel,
    reader,
    deliver: deliverAsResponse,
    maySharePromises: false,
    now,
    randomBytes,
    log,
  })
}

/**
 * wrangler.toml makes numbers, booleans and lists of what is not in quotes: to drop those would leave a rule out.
 * @returns null for bindings that are no settings.
 */
function readBinding(value: unknown): string | null {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  return Array.isArray(value) ? value.map(String).join(',') : null
}

/** Opened and closed within one call; closing goes on after the answer. */
function createDatabasePerCall(url: string): Database {
  return {
    async query(work) {
      const database = openDatabase(url, { max: 1, prepare: false })
      try {
        return await database.db.query(work)
      } finally {
        waitUntil(database.close())
      }
    },
  }
}

function buildChannel({ verifier }: GatewaySettings, log: Log): VerifierChannel | null {
  if (verifier === null) return null
  return createVerifierChannel({
    ...verifier,
    fetch: (url, init) => fetch(url, init),
    watchClock: createClockAlarm({ clock: now, log }),
    clock: now,
    randomBytes,
  })
}

function buildVerifier(
  { munge, signing }: GatewaySettings,
  channel: VerifierChannel | null,
  log: Log,
): MungeVerifier | null {
  if (munge.mode === 'local') log.write('error', 'munge_local_on_workerd', {})
  if (munge.mode !== 'remote' || channel === null) return null
  return createRemoteVerifier({ channel, isSignedThere: signing.signer === 'verifier' })
}

/**
 * workerd joins repeated headers with a comma; the credential reader knows. In the URL the target stands as it was sent,
 * but for literal dot segments, which are gone (measured).
 */
const reader: RequestReader = {
  readRawHeaders: (context) => [...context.req.raw.headers],
  readTarget: (context) => readOriginForm(context.req.raw.url),
  readConnection: () => ({ peerAddress: null, isEdge: true, hostAddresses: () => [] }),
}
