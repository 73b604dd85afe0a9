/** An answer finder over a slurmrestd in memory that says what it was asked, by whom, and when it is allowed to answer. */

import { createSourceFinder } from '../../src/answers/find-source.ts'
import type { Found } from '../../src/answers/found.ts'
import { authorizeCall } from '../../src/authorize.ts'
import type { CacheSettings } from '../../src/cache-settings.ts'
import { readCall } from '../../src/call.ts'
import { nodeSha256 } from '../../functions/node/node-sha256.ts'
import { findOperation } from '../../src/operation.ts'
import type { UpstreamAnswer } from '../../src/ports.ts'
import type { Principal } from '../../src/principal.ts'
import { isRefusal } from '../../src/refusal.ts'
import { buildUpstreamCall, type CallEvents, type UpstreamCall } from '../../src/upstream-request.ts'
import { ALL_VERSIONS, encode, MUNGE_ALICE, parsePath } from '../gateway/in-memory-ports.ts'

export const CACHE_ON: CacheSettings = {
  ttlSeconds: { jobs: 2, nodes: 10, accounting: 30 },
  staleSeconds: 0,
  entryMaxBytes: 10_000,
  maxBytes: 50_000,
}

export interface Asked {
  readonly user: string
  readonly call: UpstreamCall
  readonly events: CallEvents
  /** Lets the answer come. */
  readonly answer: (answer: Promise<UpstreamAnswer> | UpstreamAnswer) => void
}

export interface Ask {
  readonly principal?: Principal
  readonly method?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
}

export function buildJobs(text: string, status = 200): UpstreamAnswer {
  const body = encode(`{"jobs": ["${text}"], "errors": [ ], "warnings": [ ]}`)
  return { status, contentType: 'application/json', contentLength: body.length, body }
}

/** @throws where the call is refused. */
export async function buildGrant({
  principal = MUNGE_ALICE,
  method = 'GET',
  path = '/slurm/v0.0.42/jobs',
}: Ask) {
  const url = new URL(`http://gate.invalid${path}`)
  const operation = findOperation({ method, segments: parsePath(url.pathname) }, principal, ALL_VERSIONS)
  if (isRefusal(operation)) throw new Error(operation.rule)
  const headers = new Headers(method === 'POST' ? { 'content-type': 'application/json' } : {})
  const body = () => new Response('{"job": {}}').body
  const call = await readCall({ search: url.search, headers, readBody: body }, operation, principal, 1_000)
  if (isRefusal(call)) throw new Error(call.rule)
  const grant = await authorizeCall(principal, call, () => Promise.resolve({ sendBefore: 0 }))
  if (isRefusal(grant)) throw new Error(grant.rule)
  return grant
}

export function createWorld(cache: Partial<CacheSettings> = {}, maySharePromises = true) {
  const world = {
    now: 1_000_000,
    asked: [] as Asked[],
    isPrompt: true,
    isQueued: false,
    text: (user: string) => `of ${user}`,
    whenWritten: (): Promise<void> | null => null,
  }
  const findSource = createSourceFinder({
    send: ({ slurmUser }, call, events = {}) =>
      new Promise((resolve) => {
        const give = (answer: Promise<UpstreamAnswer> | UpstreamAnswer): void => {
          const taken = Promise.resolve(answer).then((one) => {
            // As an upstream client does: whole where it may be.
            const isWhole = one.body instanceof Uint8Array && events.takeWhole?.(one.body.length) === true
            events.onEnd?.()
            return isWhole || one.body === null ? one : { ...one, body: new Response(one.body).body }
          })
          resolve(taken)
        }
        if (!world.isQueued) events.onSend?.()
        world.asked.push({ user: slurmUser, call, events, answer: give })
        if (world.isPrompt) give(buildJobs(world.text(slurmUser)))
      }),
    cache: { ...CACHE_ON, ...cache },
    sha256: nodeSha256,
    maySharePromises,
    uptime: () => world.now,
  })

  /** Begins, as the gate does; what becomes of it is the promise. */
  async function begin(ask: Ask = {}): Promise<{ state: string; found: Promise<Found> }> {
    const headers = new Headers(ask.headers)
    const grant = await buildGrant(ask)
    const source = findSource(grant, buildUpstreamCall(grant, headers), headers)
    return { state: source.state, found: source.take(world.whenWritten()) }
  }

  /** The whole of it: the client has it at once. */
  async function get(ask: Ask = {}): Promise<{ state: string; text: string; found: Found }> {
    const found = await (await begin(ask)).found
    const text = await new Response(found.answer.body).text()
    found.release()
    return { state: found.state, text, found }
  }
  return { world, begin, get }
}
