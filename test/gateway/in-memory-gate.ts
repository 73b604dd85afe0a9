/** A whole gateway over ports in memory: what went upstream, what was logged, and what came back. */

import { createHash } from 'node:crypto'
import { nodeSha256 } from '../../functions/node/node-sha256.ts'
import type { CacheSettings } from '../../src/cache-settings.ts'
import { createClientAddressFinder } from '../../src/client-address.ts'
import { deliverAsResponse } from '../../src/gate-answer.ts'
import { createGatewayApp } from '../../src/gateway-app.ts'
import { createGateway } from '../../src/gateway.ts'
import type { UnclaimedIdentity, TokenRecord, UpstreamAnswer, UpstreamRequest } from '../../src/ports.ts'
import { nameCaller } from '../../src/principal.ts'
import { createQueuedSlots } from '../../src/slots.ts'
import { createSlurmTokenSource } from '../../src/slurm-token.ts'
import { createSendUpstream } from '../../src/upstream-request.ts'
import type { Refusal } from '../../src/refusal.ts'
import { buildAnswer, createMemoryLog, watchEnd } from './in-memory-ports.ts'

export const SLURM_KEY = new Uint8Array(32).fill(9)
/** In the form of imported tokens (RFC 6750 syntax). */
export const TOKENS = {
  free: 'free-'.padEnd(40, 'a'),
  reader: 'reader-'.padEnd(40, 'b'),
  bound: 'bound-'.padEnd(40, 'c'),
  expired: 'expired-'.padEnd(40, 'd'),
  revoked: 'revoked-'.padEnd(40, 'e'),
  denied: 'denied-'.padEnd(40, 'f'),
} as const
export const MUNGE_CREDENTIAL = 'MUNGE:AwQDAAA=:'

export const CACHE_OFF: CacheSettings = {
  ttlSeconds: { jobs: 0, nodes: 0, accounting: 0 },
  staleSeconds: 0,
  entryMaxBytes: 0,
  maxBytes: 0,
}

/** The gate's clock, in milliseconds; it stands still unless a test moves it. */
export const NOW = 1_800_000_000_000
const digest = (token: string) => createHash('sha256').update(token).digest('hex')

function buildRecord(name: keyof typeof TOKENS): TokenRecord {
  const isReader = name === 'reader'
  return {
    id: `tok_${name}`,
    name,
    slurmUser: name === 'denied' ? 'root' : 'alice',
    scopes: isReader
      ? ['slurm:read']
      : ['slurm:read', 'slurmdb:read', 'slurm:jobs:manage', 'slurm:reconfigure'],
    account: name === 'bound' ? 'OWN' : null,
    expiresAt: name === 'expired' ? NOW / 1000 : null,
    revokedAt: name === 'revoked' ? 1 : null,
    uid: 1001,
    policyVersion: 1,
  }
}

const RECORDS = new Map(
  Object.entries(TOKENS).map(([name, token]) => [digest(token), buildRecord(name as keyof typeof TOKENS)]),
)

export interface GateRequestInit {
  readonly method?: string
  readonly headers?: readonly (readonly [string, string])[]
  readonly body?: string
}

export function createInMemoryGate(
  more: {
    basePath?: string
    areAdminScopesOn?: boolean
    areWritesBound?: boolean
    isMungeOff?: boolean
    peer?: string | null
    bodyMaxBytes?: number
    requestsPerSecond?: number
    cache?: CacheSettings
    maySharePromises?: boolean
  } = {},
) {
  const log = createMemoryLog()
  /** In the order of happening: `decision …` lines and `GET /…` upstream. */
  const events: string[] = []
  const world = {
    sent: [] as UpstreamRequest[],
    now: NOW,
    lookups: 0,
    claims: 0,
    answer: (): UpstreamAnswer | Promise<UpstreamAnswer> => buildAnswer(200, { jobs: [] }),
    findToken: (key: string): TokenRecord | null => RECORDS.get(key) ?? null,
    findVersions: (): readonly number[] => [40, 42],
    verify: (): UnclaimedIdentity | Refusal => ({
      user: 'alice',
      uid: 1001,
      credentialDigest: 'x',
      expiresAt: NOW / 1000 + 5,
      boundDigest: null,
    }),
    claim: (): boolean => true,
    whenWritten: (): Promise<void> | null => null,
    readConnection: () => ({
      peerAddress: more.peer === undefined ? '192.0.2.7' : more.peer,
      isEdge: false,
      hostAddresses: () => [],
    }),
  }
  let rawHeaders: readonly (readonly [string, string])[] = []
  let sentTarget = '/'
  const now = () => world.now
  const deniedUsers = new Set(['root'])
  const slots = createQueuedSlots({ all: 4, accounting: 4, perCaller: 4 })
  const gate = createGateway({
    tokens: {
      find: (hex) => {
        world.lookups += 1
        return Promise.resolve().then(() => world.findToken(hex))
      },
    },
    sha256: nodeSha256,
    munge:
      more.isMungeOff === true
        ? null
        : { verify: () => Promise.resolve().then(() => world.verify()), check: () => Promise.resolve() },
    replays: {
      claim: () => {
        world.claims += 1
        return Promise.resolve().then(() => world.claim())
      },
    },
    deniedUsers,
    bearerUserNames: new Set(['palmapi_bearer']),
    areAdminScopesOn: more.areAdminScopesOn ?? false,
    now,
    basePath: more.basePath ?? '/',
    areWritesBound: more.areWritesBound ?? false,
    findClientAddress: createClientAddressFinder({ source: 'socket', trustedProxies: [] }, log),
    uptime: now,
    randomBytes: (length) => new Uint8Array(length).fill(0xab),
    versions: { findVersions: () => Promise.resolve().then(() => world.findVersions()) },
    findReadiness: () => Promise.resolve({ isReady: true, dependencies: { database: 'ok' } }),
    bodyMaxBytes: more.bodyMaxBytes ?? 1000,
    confirm: null,
    cache: more.cache ?? CACHE_OFF,
    maySharePromises: more.maySharePromises ?? true,
    requestsPerSecond: more.requestsPerSecond ?? 0,
    send: createSendUpstream({
      upstream: {
        send: async (request) => {
          world.sent.push(request)
          events.push(`${request.method} ${request.target}`)
          const answer = await world.answer()
          const onEnd = request.onEnd ?? (() => undefined)
          const { body } = answer
          if (body instanceof ReadableStream) return { ...answer, body: watchEnd(body, onEnd) }
          onEnd()
          return answer
        },
      },
      slurmTokens: createSlurmTokenSource({
        key: { algorithm: 'HS256', bytes: SLURM_KEY },
        lifespanSeconds: 120,
        deniedUsers,
        now,
      }),
      slots,
      nameCaller,
      timeoutMilliseconds: 1000,
      now,
    }),
    log: {
      write(level, event, fields) {
        log.write(level, event, fields)
        events.push(`${event} ${String(fields['rule'] ?? fields['upstream_status'])}`)
      },
      whenWritten: () => world.whenWritten(),
    },
  })
  const app = createGatewayApp({
    gate,
    readSentRequest: ({ req: { raw } }) => ({
      method: raw.method,
      target: sentTarget,
      rawHeaders,
      readConnection: () => world.readConnection(),
      readBody: () => raw.body,
    }),
    deliver: deliverAsResponse,
  })
  async function send(target: string, { method = 'GET', headers = [], body }: GateRequestInit = {}) {
    const length: [string, string][] =
      body === undefined ? [] : [['Content-Length', String(Buffer.byteLength(body))]]
    rawHeaders = [...headers, ...length]
    sentTarget = target
    const init = {
      method,
      headers: new Headers(rawHeaders.map(([name, value]): [string, string] => [name, value])),
      ...(body !== undefined && { body }),
    }
    const response = await app.request(new Request(`http://gate.invalid${target}`, init))
    const text = await response.text()
    return { status: response.status, headers: response.headers, text, rule: readRule(text) }
  }
  return { send, world, log, events, slots }
}

function readRule(text: string): string | null {
  try {
    const { errors } = JSON.parse(text) as { errors?: { error?: string; source?: string }[] }
    return errors?.[0]?.source === 'slurmgate' ? (errors[0].error ?? null) : null
  } catch {
    return null
  }
}

export const bearer = (name: keyof typeof TOKENS) => ['Authorization', `Bearer ${TOKENS[name]}`] as const
export const munge = ['Authorization', `MUNGE ${MUNGE_CREDENTIAL}`] as const
export const json = ['Content-Type', 'application/json'] as const
