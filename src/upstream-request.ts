/**
 * Builds what goes to slurmrestd, from a grant's parsed parts only, and sends it once under a Slurm token of the
 * principal's user. Of the client's headers nothing is copied.
 */

import type { Grant } from './authorize.ts'
import { buildQuery, type CallBody } from './call.ts'
import type { HeaderFields } from './header-fields.ts'
import { buildPath } from './operation.ts'
import type { Clock, Upstream, UpstreamAnswer, UpstreamRequest } from './ports.ts'
import type { Principal } from './principal.ts'
import { Outage } from './refusal.ts'
import type { Method } from './policy/route-table.ts'
import type { NamedUser, SlurmTokenSource } from './slurm-token.ts'
import type { Slots } from './slots.ts'

/** A call without an identity. */
export interface UpstreamCall {
  readonly method: Method
  readonly target: string
  readonly accept: Accept
  readonly body: CallBody | null
  /** Unix milliseconds after which it must not be sent any more; null: any time. */
  readonly sendBefore: number | null
}

/** What whoever has a call sent is told of it, and asked. */
export interface CallEvents {
  /** Which answers may come whole; absent: none. */
  readonly takeWhole?: UpstreamRequest['takeWhole']
  /** Its turn has come, and it goes out now. */
  readonly onSend?: (() => void) | undefined
  /** Called once when slurmrestd is done with it, where it was sent. */
  readonly onEnd?: (() => void) | undefined
}

export type Accept = 'application/json' | 'application/yaml'

/** @param headers of the client: only what it accepts is read. */
export function buildUpstreamCall(grant: Grant, headers: HeaderFields): UpstreamCall {
  const { operation, query, body } = grant.call
  const accept = readAccept(headers)
  return {
    method: operation.route.method,
    target: `${buildPath(operation)}${buildQuery(query)}`,
    accept,
    body,
    sendBefore: grant.sendBefore,
  }
}

/**
 * Sends one call as the principal's user.
 * @throws Outage `overloaded`, `job_check_stale` before anything was sent; `upstream_unreachable`, `upstream_timeout`.
 */
export type SendUpstream<Actor extends NamedUser = Principal> = (
  actor: Actor,
  call: UpstreamCall,
  events?: CallEvents,
) => Promise<UpstreamAnswer>

export interface SendOptions<Actor extends NamedUser> {
  readonly upstream: Upstream
  readonly slurmTokens: SlurmTokenSource<Actor>
  readonly slots: Slots
  /** Whose requests take turns with those of others. */
  readonly nameCaller: (actor: Actor) => string
  readonly timeoutMilliseconds: number
  readonly now: Clock
}

export function createSendUpstream<Actor extends NamedUser>(
  options: SendOptions<Actor>,
): SendUpstream<Actor> {
  const { upstream, slurmTokens, slots, nameCaller, timeoutMilliseconds, now } = options
  return async function sendUpstream(actor, call, events = NOBODY) {
    const isAccounting = call.target.startsWith('/slurmdb/')
    const giveBack = await slots.take({ caller: nameCaller(actor), isAccounting })
    try {
      // Chosen after the wait for a slot, so that it has at least half its life left when it is used.
      const found = slurmTokens.findToken(actor)
      const token = typeof found === 'string' ? found : await found
      if (call.sendBefore !== null && now() > call.sendBefore) {
        throw new Outage('job_check_stale', 'the write waited too long for a slot')
      }
      events.onSend?.()
      return await upstream.send({
        method: call.method,
        target: call.target,
        headers: buildHeaders(actor, token, call),
        body: call.body?.bytes ?? null,
        timeoutMilliseconds,
        onEnd: () => {
          giveBack()
          events.onEnd?.()
        },
        takeWhole: events.takeWhole,
      })
    } catch (cause) {
      // slurmrestd does not notice that nobody waits: its slot is free when it is done (`onEnd`), not at our 504.
      if (!(cause instanceof Outage && cause.rule === 'upstream_timeout')) giveBack()
      throw cause
    }
  }
}

const NOBODY: CallEvents = {}

/** slurmrestd 24.11+ answers 401 to `Authorization` beside its own headers (measured), so only its own are used. */
function buildHeaders(actor: NamedUser, token: string, call: UpstreamCall): Record<string, string> {
  const headers: Record<string, string> = {
    accept: call.accept,
    'x-slurm-user-name': actor.slurmUser,
    'x-slurm-user-token': token,
  }
  if (call.body !== null) headers['content-type'] = call.body.contentType
  return headers
}

/** JSON unless YAML alone was asked for: slurmrestd would take the first type it knows, whatever the client's weights. */
export function readAccept(headers: HeaderFields): Accept {
  const types = (headers.get('accept') ?? '*/*').toLowerCase()
  return types.includes('yaml') && !/json|\*\/\*/.test(types) ? 'application/yaml' : 'application/json'
}
