/**
 * Where the answer to an allowed call comes from: memory, a call of the same user that is under way, or slurmrestd. What is
 * granted was decided before; nothing here can say yes. A write always goes upstream, once.
 */

import type { Grant } from '../authorize.ts'
import type { CacheSettings } from '../cache-settings.ts'
import { requireTokenTaken } from '../forward.ts'
import type { HeaderFields } from '../header-fields.ts'
import type { Sha256 } from '../munge/sha256.ts'
import { findReadKind } from '../policy/read-kind.ts'
import type { Clock, UpstreamAnswer } from '../ports.ts'
import { Outage } from '../refusal.ts'
import type { SendUpstream, UpstreamCall } from '../upstream-request.ts'
import { createAnswerCache } from './answer-cache.ts'
import { createAnswerMemory, type Held } from './answer-memory.ts'
import { presentPlain, presentWhole, type Found } from './found.ts'
import { createGenerations } from './generations.ts'
import { buildReadKey } from './read-key.ts'
import { buildEtag, isFreshWanted, saysNoErrors, type WholeAnswer } from './whole-answer.ts'

export interface AnswerSource {
  /** `COALESCED`: a call that somebody else waits for already. */
  readonly state: 'HIT' | 'COALESCED' | 'MISS' | 'BYPASS'
  /** To be called once, at once. @throws Outage of the upstream call */
  take(): Found | Promise<Found>
}

export interface FindSourceOptions {
  readonly send: SendUpstream
  readonly cache: CacheSettings
  readonly sha256: Pick<Sha256, 'hashToHex'>
  /** Whether one request may wait for what another one asked: not on workerd, where nothing is coalesced. */
  readonly maySharePromises: boolean
  readonly now: Clock
}

/** @param headers of the client: only whether it wants a fresh answer is read. */
export type FindSource = (grant: Grant, call: UpstreamCall, headers: HeaderFields) => AnswerSource

/** A read that can be answered from memory. */
interface SharedRead {
  readonly grant: Grant
  readonly call: UpstreamCall
  readonly key: string
  /** What it began under: with a write in between it is nobody else's answer. */
  readonly generation: number
  readonly ttlMilliseconds: number
}

interface Flight {
  readonly generation: number
  /** Those who joined. */
  waiting: number
  readonly end: Promise<WholeAnswer | UpstreamAnswer>
}

export function createSourceFinder(options: FindSourceOptions): FindSource {
  const { send, cache: settings, sha256, maySharePromises, now } = options
  const cache = createAnswerCache(1000 * settings.staleSeconds, now)
  const memory = createAnswerMemory(settings.maxBytes, () => cache.giveUpOne())
  const generations = createGenerations()
  const flights = new Map<string, Flight>()

  async function ask({ principal }: Grant, call: UpstreamCall): Promise<WholeAnswer | UpstreamAnswer> {
    const taken: { held: Held | null } = { held: null }
    const takeWhole = (bytes: number): boolean => {
      taken.held = bytes > settings.entryMaxBytes ? null : memory.reserve(bytes)
      return taken.held !== null
    }
    try {
      const answer = await requireTokenTaken(await send(principal, { ...call, takeWhole }))
      const { held } = taken
      if (held === null || !(answer.body instanceof Uint8Array)) return answer
      return { answer, etag: await buildEtag(answer, answer.body, sha256), arrivedAt: now(), held }
    } catch (cause) {
      taken.held?.release()
      throw cause
    }
  }

  /** Told before it goes out and when slurmrestd is done with it, be that after our 504: reads in between count for nobody. */
  async function write(grant: Grant, call: UpstreamCall): Promise<Found> {
    const advance = (): void => generations.advance(grant.principal.slurmUser)
    advance()
    try {
      return present('BYPASS', await ask(grant, { ...call, onEnd: advance }), false)
    } finally {
      advance()
    }
  }

  function keep({ grant, key, generation, ttlMilliseconds }: SharedRead, whole: WholeAnswer): void {
    const isCurrent = generations.find(grant.principal.slurmUser) === generation
    const { status, body } = whole.answer
    const isGood = status === 200 && body instanceof Uint8Array && saysNoErrors(body)
    if (isCurrent && isGood) cache.keep(key, { whole, generation, ttlMilliseconds })
  }

  async function lead(read: SharedRead): Promise<Found> {
    const { key, generation } = read
    const leave = (): void => {
      if (flights.get(key) === flight) flights.delete(key)
    }
    const end = ask(read.grant, read.call).finally(leave)
    const flight: Flight = {
      generation,
      waiting: 0,
      end: end.then((fetched) => {
        if (!('held' in fetched)) return fetched
        // Before any of those who wait goes on: nobody lets go what another one still needs.
        for (let index = 0; index < flight.waiting; index += 1) fetched.held.hold()
        keep(read, fetched)
        return fetched
      }),
    }
    if (maySharePromises) flights.set(key, flight)
    return present('MISS', await flight.end)
  }

  async function join(flight: Flight, { grant, call }: SharedRead): Promise<Found> {
    flight.waiting += 1
    const fetched = await flight.end
    // A stream has one reader.
    return 'held' in fetched ? present('COALESCED', fetched) : present('BYPASS', await ask(grant, call))
  }

  async function orStale(read: SharedRead, taking: Promise<Found>): Promise<Found> {
    try {
      return await taking
    } catch (cause) {
      const isUnreachable = cause instanceof Outage && STALE_RULES.has(cause.rule)
      const stale = isUnreachable ? cache.findStale(read.key, read.generation) : null
      if (stale === null || generations.find(read.grant.principal.slurmUser) !== read.generation) throw cause
      stale.whole.held.hold()
      return { ...present('STALE', stale.whole), outage: cause as Outage }
    }
  }

  function present(state: Found['state'], fetched: WholeAnswer | UpstreamAnswer, isRead = true): Found {
    if (!('held' in fetched)) return presentPlain(state === 'MISS' ? 'BYPASS' : state, fetched)
    return presentWhole(state, isRead ? fetched : { ...fetched, etag: null }, now())
  }

  return function findSource(grant, call, headers) {
    const { route } = grant.call.operation
    if (route.effect === 'write') return { state: 'BYPASS', take: () => write(grant, call) }
    const kind = findReadKind(route)
    const ttlMilliseconds = kind === null ? 0 : 1000 * settings.ttlSeconds[kind]
    if (ttlMilliseconds === 0 || isFreshWanted(headers)) {
      const isGet = route.method === 'GET'
      return { state: 'BYPASS', take: async () => present('BYPASS', await ask(grant, call), isGet) }
    }
    const key = buildReadKey(grant, call.accept)
    const generation = generations.find(grant.principal.slurmUser)
    const read = { grant, call, key, generation, ttlMilliseconds }
    const kept = cache.findFresh(key, generation)
    if (kept !== null) {
      kept.whole.held.hold()
      return { state: 'HIT', take: () => present('HIT', kept.whole) }
    }
    const flight = flights.get(key)
    if (flight?.generation === generation) {
      return { state: 'COALESCED', take: () => orStale(read, join(flight, read)) }
    }
    return { state: 'MISS', take: () => orStale(read, lead(read)) }
  }
}

/** slurmrestd is not there, or does not answer. Whoever is told to wait by this gate (`overloaded`) is not given old news. */
const STALE_RULES: ReadonlySet<string> = new Set(['upstream_unreachable', 'upstream_timeout'])
