/** Puts a gateway together from its settings and from what the runtime hands in. Used by every entry in `functions/`. */

import { discardBody } from './byte-stream.ts'
import { createClientAddressFinder } from './client-address.ts'
import { createGateway, type Gate } from './gateway.ts'
import { createGuardedUpstream } from './guarded-upstream.ts'
import { createLeasedSlots } from './leased-slots.ts'
import { ANSWER_TIME_LIMITS } from './limits.ts'
import type { VerifierChannel } from './munge/verifier-channel.ts'
import type { Clock, Log, MungeVerifier, RandomBytes, ReplayGuard, TokenStore, Upstream } from './ports.ts'
import { nameCaller } from './principal.ts'
import { createReadiness } from './readiness.ts'
import type { GatewaySettings } from './settings.ts'
import { createQueuedSlots } from './slots.ts'
import { createRemoteSlurmTokenSource } from './signer/remote-slurm-tokens.ts'
import { createSlurmTokenSource, type SlurmTokenSource } from './slurm-token.ts'
import { createSendUpstream } from './upstream-request.ts'
import type { Sha256 } from './munge/sha256.ts'
import { createWarmTokens, type ChangeFeed } from './tokens/warm-tokens.ts'
import { createVersionCatalog } from './version-catalog.ts'

export interface GatewayParts {
  readonly upstream: Upstream
  readonly tokens: TokenStore
  /** null: the runtime cannot listen for them. */
  readonly tokenChanges: ChangeFeed | null
  readonly sha256: Sha256
  readonly replays: ReplayGuard
  /** null: MUNGE is off. */
  readonly munge: MungeVerifier | null
  /** Set exactly where the settings have a `verifier`. */
  readonly channel: VerifierChannel | null
  /** Whether one request may wait for what another one started: not on workerd. */
  readonly maySharePromises: boolean
  readonly now: Clock
  /** Milliseconds since some moment; is never set back. */
  readonly uptime: Clock
  readonly randomBytes: RandomBytes
  readonly log: Log
}

export function buildGateway(settings: GatewaySettings, parts: GatewayParts): Gate {
  const { munge, tokens, maySharePromises, now, log } = parts
  const upstream = createGuardedUpstream(parts.upstream)
  const timeoutMilliseconds = settings.upstreamTimeoutMilliseconds
  const slurmTokens = buildSlurmTokens(settings, parts)
  const slots = maySharePromises
    ? createQueuedSlots(settings.slotLimits)
    : createLeasedSlots(settings.slotLimits, findLeaseMilliseconds(timeoutMilliseconds), now)
  const checks = {
    database: () => tokens.check(),
    slurmrestd: () => checkSlurmrestd(upstream),
    munge: munge === null ? null : () => munge.check(),
    ...(settings.signing.signer === 'verifier' && { signer: () => requireChannel(parts).checkSigner() }),
  }
  const { deniedUsers, bearerUserNames, areAdminScopesOn, areWritesBound, basePath, bodyMaxBytes } = settings
  return createGateway({
    ...parts,
    tokens: createWarmTokens({ ...parts, store: tokens, changes: parts.tokenChanges }),
    ...{ deniedUsers, bearerUserNames, areAdminScopesOn, areWritesBound, basePath, bodyMaxBytes },
    cache: settings.cache,
    confirm: slurmTokens.confirm,
    send: createSendUpstream({ upstream, slurmTokens, slots, nameCaller, timeoutMilliseconds, now }),
    versions: createVersionCatalog({ ...parts, upstream, setting: settings.versions, timeoutMilliseconds }),
    requestsPerSecond: settings.rateLimitPerSecond,
    findReadiness: createReadiness({ checks, maySharePromises, now, log }),
    findClientAddress: createClientAddressFinder(settings.clientAddress, log),
  })
}

function buildSlurmTokens({ signing, deniedUsers }: GatewaySettings, parts: GatewayParts): SlurmTokenSource {
  const { maySharePromises, now } = parts
  return signing.signer === 'gateway'
    ? createSlurmTokenSource({ ...signing, deniedUsers, now })
    : createRemoteSlurmTokenSource({ ...signing, channel: requireChannel(parts), maySharePromises, now })
}

function requireChannel({ channel }: GatewayParts): VerifierChannel {
  if (channel === null) throw new TypeError('a remote signer needs the channel to its verifier')
  return channel
}

const CHECK_TIMEOUT_MILLISECONDS = 3_000
const LEASE_MARGIN_MILLISECONDS = 5_000

/** Longer than any upstream call: the wait for its head, then the time its answer may take. */
function findLeaseMilliseconds(timeoutMilliseconds: number): number {
  return (1 + ANSWER_TIME_LIMITS) * timeoutMilliseconds + LEASE_MARGIN_MILLISECONDS
}

/** Without a token slurmrestd refuses at once: whatever it answers, it answers. @throws Outage */
async function checkSlurmrestd(upstream: Upstream): Promise<void> {
  const answer = await upstream.send({
    method: 'GET',
    target: '/openapi/v3',
    headers: { accept: 'application/json' },
    body: null,
    timeoutMilliseconds: CHECK_TIMEOUT_MILLISECONDS,
  })
  await discardBody(answer.body)
}
