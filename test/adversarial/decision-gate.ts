/** A whole gateway over ports in memory, in front of a slurmrestd that only writes down what reaches it. */

import { createHash } from 'node:crypto'
import { createClientAddressFinder } from '../../src/client-address.ts'
import { deliverAsResponse } from '../../src/gate-answer.ts'
import { nodeSha256 } from '../../functions/node/node-sha256.ts'
import { createGatewayApp } from '../../src/gateway-app.ts'
import { createGateway } from '../../src/gateway.ts'
import type { TokenRecord, UpstreamAnswer, UpstreamRequest } from '../../src/ports.ts'
import { readOriginForm } from '../../src/request-target.ts'
import { createQueuedSlots } from '../../src/slots.ts'
import { createSlurmTokenSource } from '../../src/slurm-token.ts'
import { createSendUpstream } from '../../src/upstream-request.ts'
import { isRestricted, SCOPES_OF } from './attacks/scopes.ts'
import {
  fillRequest,
  type Caller,
  type HostileRequest,
  type JobIds,
  type TokenCaller,
} from './hostile-request.ts'
import type { Suspect } from './worst-case.ts'

const NOW = 1_800_000_000_000
const BODY_MAX_BYTES = 64 * 1024

/** Ids of a world that stands still: 1-99 are not own. */
export const STILL_IDS: JobIds = {
  'own.plain': '101',
  'own.running': '102',
  'own.array': '103',
  'own.het': '104',
  'foreign.plain': '7',
  'foreign.running': '8',
  'foreign.array': '9',
  'foreign.het': '10',
  'foreign.hetPart': '11',
  'foreign.bob': '12',
  'bob.own': '106',
  'mixed.het': '21',
  'mixed.hetPart': '23',
  'mixed.foreignHet': '31',
  'mixed.foreignHetPart': '32',
  'mixed.array': '41',
  'mixed.arrayTask': '42',
  'mixed.foreignArray': '51',
  'mixed.foreignArrayTask': '52',
}

interface StillJob {
  readonly id: number
  readonly account: string
  readonly leader?: number
  readonly array?: number
}

const JOBS: readonly StillJob[] = [
  { id: 101, account: 'ownerlab' },
  { id: 102, account: 'ownerlab' },
  { id: 103, account: 'ownerlab', array: 103 },
  { id: 104, account: 'ownerlab', leader: 104 },
  { id: 105, account: 'ownerlab', leader: 104 },
  { id: 7, account: 'otherlab' },
  { id: 8, account: 'otherlab' },
  { id: 9, account: 'otherlab', array: 9 },
  { id: 10, account: 'otherlab', leader: 10 },
  { id: 11, account: 'otherlab', leader: 10 },
  { id: 12, account: 'otherlab' },
  { id: 106, account: 'ownerlab' },
  { id: 21, account: 'ownerlab', leader: 21 },
  { id: 22, account: 'otherlab', leader: 21 },
  { id: 23, account: 'ownerlab', leader: 21 },
  { id: 31, account: 'otherlab', leader: 31 },
  { id: 32, account: 'ownerlab', leader: 31 },
  { id: 41, account: 'ownerlab', array: 41 },
  { id: 42, account: 'otherlab', array: 41 },
  { id: 51, account: 'otherlab', array: 51 },
  { id: 52, account: 'ownerlab', array: 51 },
]

const MUNGE_CREDENTIAL = 'MUNGE:AwQDAAA=:'
const SLURM_KEY = new Uint8Array(32).fill(9)
const TOKENS = new Map(
  (Object.keys(SCOPES_OF) as TokenCaller[]).map((caller) => [caller, `${caller}-`.padEnd(40, 'a')]),
)
const RECORDS = new Map<string, TokenRecord>(
  [...TOKENS].map(([caller, token]) => [
    createHash('sha256').update(token).digest('hex'),
    {
      id: `tok_${caller}`,
      name: caller,
      slurmUser: 'alice',
      scopes: SCOPES_OF[caller],
      account: isRestricted(caller) ? 'ownerlab' : null,
      expiresAt: null,
      revokedAt: null,
      uid: null,
      policyVersion: 1,
    },
  ]),
)

export interface Decision {
  readonly status: number
  readonly text: string
  /** Everything that went upstream. */
  readonly sent: readonly Suspect[]
}

export interface DecisionGate {
  /** @returns null: the Web's Request cannot express this request; only a raw socket can send it. */
  decide(request: HostileRequest): Promise<Decision | null>
}

export function createDecisionGate(versions: readonly number[]): DecisionGate {
  let sent: Suspect[] = []
  let rawHeaders: readonly (readonly [string, string])[] = []
  const now = (): number => NOW
  const log = { write: (): void => undefined }
  const deniedUsers = new Set(['root'])
  const identity = {
    user: 'alice',
    uid: 1001,
    credentialDigest: 'x',
    expiresAt: NOW / 1000 + 5,
    boundDigest: null,
  }
  const gate = createGateway({
    cache: {
      ttlSeconds: { jobs: 0, nodes: 0, accounting: 0 },
      staleSeconds: 0,
      entryMaxBytes: 0,
      maxBytes: 0,
    },
    maySharePromises: true,
    requestsPerSecond: 0,
    tokens: { find: (digest) => RECORDS.get(digest) ?? null },
    sha256: nodeSha256,
    munge: { verify: () => Promise.resolve(identity), check: () => Promise.resolve() },
    replays: { claim: () => Promise.resolve(true) },
    deniedUsers,
    bearerUserNames: new Set(['palmapi_bearer']),
    areAdminScopesOn: true,
    areWritesBound: false,
    now,
    basePath: '/',
    findClientAddress: createClientAddressFinder({ source: 'socket', trustedProxies: [] }, log),
    uptime: now,
    randomBytes: (length) => new Uint8Array(length),
    versions: { findVersions: () => Promise.resolve(versions) },
    findReadiness: () => Promise.resolve({ isReady: true, dependencies: {} }),
    bodyMaxBytes: BODY_MAX_BYTES,
    confirm: null,
    send: createSendUpstream({
      upstream: {
        send: (request) => {
          sent.push(readSuspect(request))
          request.onEnd?.()
          return Promise.resolve(answer(request))
        },
      },
      slurmTokens: createSlurmTokenSource({
        key: { algorithm: 'HS256', bytes: SLURM_KEY },
        lifespanSeconds: 120,
        deniedUsers,
        now,
      }),
      slots: createQueuedSlots({ all: 16, accounting: 16, perCaller: 16 }),
      nameCaller: ({ slurmUser }) => slurmUser,
      timeoutMilliseconds: 1000,
      now,
    }),
    log,
  })
  const app = createGatewayApp({
    gate,
    readSentRequest: ({ req: { raw } }) => ({
      method: raw.method,
      target: readOriginForm(raw.url),
      rawHeaders,
      readConnection: () => ({ peerAddress: '192.0.2.7', isEdge: false, hostAddresses: () => [] }),
      readBody: () => raw.body,
    }),
    deliver: deliverAsResponse,
  })

  return {
    async decide(hostile) {
      const secret = hostile.caller === 'munge' ? MUNGE_CREDENTIAL : (TOKENS.get(hostile.caller) ?? '')
      const filled = fillRequest(hostile, STILL_IDS, secret)
      const framing: [string, string][] =
        filled.body === null
          ? []
          : filled.isChunked
            ? [['Transfer-Encoding', 'chunked']]
            : [['Content-Length', String(filled.body.length)]]
      rawHeaders = [authorize(hostile.caller, secret), ...filled.headers, ...framing]
      const request = buildRequest(filled.method, filled.target, rawHeaders, filled.body)
      if (request === null) return null
      sent = []
      const response = await app.request(request)
      return { status: response.status, text: await response.text(), sent }
    },
  }
}

function authorize(caller: Caller, secret: string): readonly [string, string] {
  return ['Authorization', `${caller === 'munge' ? 'MUNGE' : 'Bearer'} ${secret}`]
}

/** A body on GET is announced in the headers; the Web's Request cannot carry it. */
function buildRequest(
  method: string,
  target: string,
  headers: readonly (readonly [string, string])[],
  body: Buffer | null,
): Request | null {
  try {
    const url = /^https?:/.test(target) ? target : `http://gate.invalid${target}`
    const fields = new Headers(headers.map(([name, value]): [string, string] => [name, value]))
    const isCarried = body !== null && method !== 'GET' && method !== 'HEAD'
    return new Request(url, { method, headers: fields, ...(isCarried ? { body: new Uint8Array(body) } : {}) })
  } catch {
    return null
  }
}

function readSuspect({ method, target, headers, body }: UpstreamRequest): Suspect {
  return {
    method,
    target,
    headers: new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), [value]])),
    body: body === null ? '' : Buffer.from(body).toString('utf8'),
  }
}

/** As slurmrestd does: a leader's answer has all components, an array's all tasks. */
function answer({ method, target }: UpstreamRequest): UpstreamAnswer {
  const [, version, id] = /^\/slurm\/v0\.0\.(\d+)\/job\/(\d+)$/.exec(target) ?? []
  if (method !== 'GET' || id === undefined) return buildAnswer({ jobs: [], errors: [] })
  const found = JOBS.filter((job) => [job.id, job.leader, job.array].includes(Number(id)))
  if (found.length === 0) {
    return buildAnswer({ jobs: [], errors: [{ error_number: 2017, error: 'Invalid job id specified' }] })
  }
  const number = (value = 0): unknown =>
    Number(version) < 40 ? value : { set: true, infinite: false, number: value }
  const jobs = found.map(({ id: jobId, account, leader, array }) => ({
    job_id: jobId,
    account,
    user_name: 'alice',
    job_state: Number(version) < 40 ? 'PENDING' : ['PENDING'],
    het_job_id: number(leader),
    het_job_offset: number(leader === undefined ? 0 : jobId - leader),
    array_job_id: number(array),
    array_task_id: number(0),
  }))
  return buildAnswer({ jobs, errors: [] })
}

function buildAnswer(document: unknown): UpstreamAnswer {
  const bytes = new TextEncoder().encode(JSON.stringify(document))
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(bytes)
      controller.close()
    },
  })
  return { status: 200, contentType: 'application/json', contentLength: bytes.length, body }
}
