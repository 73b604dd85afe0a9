/**
 * The gateway on Workers: the same app. A Worker may not share sockets or pending promises between requests, so each
 * look-up has a connection of its own; settings, versions and minted tokens are plain data and stay.
 */

import { waitUntil } from 'cloudflare:workers'
import { buildGateway } from '../src/build-gateway.ts'
import { createClockAlarm } from '../src/clock-alarm.ts'
import { deliverAsResponse } from '../src/gate-answer.ts'
import type { ReadSentRequest } from '../src/gate-request.ts'
import { createGatewayApp } from '../src/gateway-app.ts'
import { SLURMRESTD_HOP, VERIFIER_HOP, type Hop } from '../src/hop-settings.ts'
import { createRemoteVerifier } from '../src/munge/remote-verifier.ts'
import { createVerifierChannel, type VerifierChannel } from '../src/munge/verifier-channel.ts'
import { webSha256 } from '../src/munge/sha256.ts'
import type { Log, MungeVerifier, RandomBytes } from '../src/ports.ts'
import { readOriginForm } from '../src/request-target.ts'
import { parseGatewaySettings, type GatewaySettings } from '../src/settings.ts'
import { openDatabase, type Database } from '../src/tokens/database.ts'
import { buildUnknownServer } from '../src/tokens/database-server.ts'
import { createPostgresReplayGuard } from '../src/tokens/replay-guard.ts'
import { createTokenStore } from '../src/tokens/token-store.ts'
import { readBindings, type Fetch } from './workerd/bindings.ts'
import { createConsoleLog } from './workerd/console-log.ts'
import { createFetchUpstream } from './workerd/fetch-upstream.ts'

type Gateway = ReturnType<typeof createGatewayApp>

const now = (): number => Date.now()
/** Called as a method of something else workerd's own throws. */
const plainFetch: Fetch = (input, init) => fetch(input, init)
const randomBytes: RandomBytes = (length) => crypto.getRandomValues(new Uint8Array(length))

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
  const { env, certificates, hyperdriveUrl } = readBindings(bindings)
  const settings = parseGatewaySettings({
    env,
    runtime: 'workerd',
    readKeyFile: null,
    certificates: new Set(certificates.keys()),
    hyperdriveUrl,
  })
  if ('problems' in settings) return settings
  const log = createConsoleLog(settings.logLevel, now)
  const fetchOn = ({ certificate }: Hop): Fetch => certificates.get(certificate) ?? plainFetch
  const db = createDatabasePerCall(settings.databaseUrl)
  const defer = (work: Promise<void>): void => waitUntil(work)
  const channel = buildChannel(settings, fetchOn(VERIFIER_HOP), log)
  const gate = buildGateway(settings, {
    upstream: createFetchUpstream(settings.slurmrestd, waitUntil, fetchOn(SLURMRESTD_HOP)),
    tokens: createTokenStore(db, { isCacheSuspected: true }),
    tokenChanges: null,
    sha256: webSha256,
    replays: createPostgresReplayGuard(db, { clock: now, log, defer }),
    munge: buildVerifier(settings, channel, log),
    channel,
    maySharePromises: false,
    now,
    uptime: () => performance.now(),
    randomBytes,
    log,
  })
  return createGatewayApp({ gate, readSentRequest, deliver: deliverAsResponse })
}

/** Opened and closed within one call; closing goes on after the answer. */
function createDatabasePerCall(url: string): Database {
  const server = buildUnknownServer()
  return {
    async query(work) {
      const database = openDatabase(url, { max: 1, prepare: false, server })
      try {
        return await database.db.query(work)
      } finally {
        waitUntil(database.close())
      }
    },
  }
}

function buildChannel(
  { verifier, signing }: GatewaySettings,
  fetch: Fetch,
  log: Log,
): VerifierChannel | null {
  if (verifier === null) return null
  return createVerifierChannel({
    ...verifier,
    encryptionKey: signing.signer === 'verifier' ? signing.encryptionKey : null,
    fetch,
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
const readSentRequest: ReadSentRequest = ({ req: { raw } }) => ({
  method: raw.method,
  target: readOriginForm(raw.url),
  rawHeaders: [...raw.headers],
  readConnection: () => EDGE,
  readBody: () => raw.body,
})

const EDGE = { peerAddress: null, isEdge: true, hostAddresses: () => [] }
