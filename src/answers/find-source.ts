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
import { nameCaller } from '../principal.ts'
import { Outage } from '../refusal.ts'
import type { CallEvents, SendUpstream, UpstreamCall } from '../upstream-request.ts'
import { createAnswerCache } from './answer-cache.ts'
import { createAnswerMemory, type Held } from './answer-memory.ts'
import { presentPlain, presentWhole, type Found } from './found.ts'
import { createGenerations } from './generations.ts'
import { buildReadKey } from './read-key.ts'
import { buildEtag, isFreshWanted, saysNoErrors, type WholeAnswer } from './whole-answer.ts'

export interface AnswerSource {
  /** `COALESCED`: a call that somebody else waits for already. */
  readonly state: 'HIT' | 'COALESCED' | 'MISS' | 'BYPASS'
  /**
   * To be called once, in the same turn: what memory holds for it is counted already.
   * @param mayGoOn nothing is asked, and nothing handed out, before; null: it may at once.
   * @throws Outage of the upstream call
   */
  take(mayGoOn: Promise<void> | null): Promise<Found>
}

export interface FindSourceOptions {
  readonly send: SendUpstream
  readonly cache: CacheSettings
  readonly sha256: Pick<Sha256, 'hashToHex'>
  /** Whether one request may wait for what another one asked: not on workerd, where nothing is coalesced. */
  readonly maySharePromises: boolean
  /** Milliseconds since some moment; is never set back. */
  readonly uptime: Clock
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
  /** Whose turn it waits for. */
  readonly caller: string
  readonly progress: Progress
  readonly end: Promise<WholeAnswer | UpstreamAnswer>
}

interface Progress {
  /** It has gone to slurmrestd. */
  isSent: boolean
  /** Those who joined. */
  waiting: number
}

export function createSourceFinder(options: FindSourceOptions): FindSource {
  const { send, cache: settings, sha256, maySharePromises, uptime } = options
  const cache = createAnswerCache(1000 * settings.staleSeconds, uptime)
  const memory = createAnswerMemory(settings.maxBytes, () => cache.giveUpOne())
  const generations = createGenerations()
  const flights = new Map<string, Flight>()

  async function ask(
    { principal }: Grant,
    call: UpstreamCall,
    mayGoOn: Promise<void> | null,
    told: Pick<CallEvents, 'onSend' | 'onEnd'> = NOBODY,
  ): Promise<WholeAnswer | UpstreamAnswer> {
    if (mayGoOn !== null) await mayGoOn
    const taken: { held: Held | null } = { held: null }
    let askedAt = uptime()
    const onSend = (): void => {
      askedAt = uptime()
      told.onSend?.()
    }
    const takeWhole = (bytes: number): boolean => {
      taken.held = bytes > settings.entryMaxBytes ? null : memory.reserve(bytes)
      return taken.held !== null
    }
    try {
      const events = { takeWhole, onSend, onEnd: told.onEnd }
      const answer = await requireTokenTaken(await send(principal, call, events))
      const { held } = taken
      if (held === null || !(answer.body instanceof Uint8Array)) return answer
      return {
        answer,
        etag: await buildEtag(answer, answer.body, sha256),
        askedAt,
        arrivedAt: uptime(),
        held,
      }
    } catch (cause) {
      taken.held?.release()
      throw cause
    }
  }

  /** Told before it goes out and when slurmrestd is done with it, be that after our 504: reads in between count for nobody. */
  async function write(grant: Grant, call: UpstreamCall, mayGoOn: Promise<void> | null): Promise<Found> {
    const advance = (): void => generations.advance(grant.principal.slurmUser)
    advance()
    try {
      return present('BYPASS', await ask(grant, call, mayGoOn, { onEnd: advance }), false)
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

  /** Is there for others before anything is waited for. */
  async function lead(read: SharedRead, mayGoOn: Promise<void> | null): Promise<Found> {
    const { key, generation, grant, call } = read
    const leave = (): void => {
      if (flights.get(key) === flight) flights.delete(key)
    }
    const progress: Progress = { isSent: false, waiting: 0 }
    const onSend = (): void => void (progress.isSent = true)
    const flight: Flight = {
      generation,
      caller: nameCaller(grant.principal),
      progress,
      end: ask(grant, call, mayGoOn, { onSend })
        .finally(leave)
        .then((fetched) => {
          if (!('held' in fetched)) return fetched
          // Before any of those who wait goes on: nobody lets go what another one still needs.
          for (let index = 0; index < progress.waiting; index += 1) fetched.held.hold()
          keep(read, fetched)
          return fetched
        }),
    }
    if (maySharePromises) flights.set(key, flight)
    return present('MISS', await flight.end)
  }

  async function join(
    flight: Flight,
    { grant, call }: SharedRead,
    mayGoOn: Promise<void> | null,
  ): Promise<Found> {
    flight.progress.waiting += 1
    const fetched = await flight.end
    if (mayGoOn !== null) await mayGoOn
    // A stream has one reader.
    return 'held' in fetched ? present('COALESCED', fetched) : present('BYPASS', await ask(grant, call, null))
  }

  /** Nobody waits for another caller's turn: only for what has gone to slurmrestd, or waits for one's own. */
  function mayJoin(flight: Flight | undefined, { grant, generation }: SharedRead): flight is Flight {
    if (flight?.generation !== generation) return false
    return flight.progress.isSent || flight.caller === nameCaller(grant.principal)
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
    return presentWhole(state, isRead ? fetched : { ...fetched, etag: null }, uptime())
  }

  return function findSource(grant, call, headers) {
    const { route } = grant.call.operation
    if (route.effect === 'write') return { state: 'BYPASS', take: (mayGoOn) => write(grant, call, mayGoOn) }
    const kind = findReadKind(route)
    const ttlMilliseconds = kind === null ? 0 : 1000 * settings.ttlSeconds[kind]
    const key = ttlMilliseconds === 0 || isFreshWanted(headers) ? null : buildReadKey(grant, call.accept)
    if (key === null) {
      const isGet = route.method === 'GET'
      return {
        state: 'BYPASS',
        take: async (mayGoOn) => present('BYPASS', await ask(grant, call, mayGoOn), isGet),
      }
    }
    const generation = generations.find(grant.principal.slurmUser)
    const read = { grant, call, key, generation, ttlMilliseconds }
    const kept = cache.findFresh(key, generation)
    if (kept !== null) {
      kept.whole.held.hold()
      return { state: 'HIT', take: (mayGoOn) => giveKept(kept.whole, mayGoOn) }
    }
    const flight = flights.get(key)
    if (mayJoin(flight, read)) {
      return { state: 'COALESCED', take: (mayGoOn) => orStale(read, join(flight, read, mayGoOn)) }
    }
    return { state: 'MISS', take: (mayGoOn) => orStale(read, lead(read, mayGoOn)) }
  }

  async function giveKept(whole: WholeAnswer, mayGoOn: Promise<void> | null): Promise<Found> {
    if (mayGoOn !== null) await mayGoOn
    return present('HIT', whole)
  }
}

const NOBODY: CallEvents = {}

/** slurmrestd is not there, or does not answer. Whoever is told to wait by this gate (`overloaded`) is not given old news. */
const STALE_RULES: ReadonlySet<string> = new Set(['upstream_unreachable', 'upstream_timeout'])
