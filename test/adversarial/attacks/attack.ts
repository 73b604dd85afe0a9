/** One attack: a request, and what has to become of it. */

import type { HostileRequest } from '../hostile-request.ts'

export interface Attack {
  readonly name: string
  readonly request: HostileRequest
  /**
   * `refused`: 4xx, and nothing went upstream but the gate's own look at a job. `no-write`: it may be answered, for it
   * asks for nothing that is not allowed once the trick is ignored, but no write goes upstream.
   */
  readonly expect: 'refused' | 'no-write'
}

export type AttackOptions = Partial<Omit<HostileRequest, 'method' | 'target' | 'isHonest'>> & {
  readonly expect?: Attack['expect']
}

export const JSON_TYPE = ['Content-Type', 'application/json'] as const

/** By the restricted token with all its scopes, as JSON, unless told. */
export function attack(method: string, target: string, options: AttackOptions = {}): Attack {
  const { expect = 'refused', body = null, headers = body === null ? [] : [JSON_TYPE], ...rest } = options
  const request: HostileRequest = {
    caller: 'bound',
    encoding: 'utf-8',
    isChunked: false,
    ...rest,
    method,
    target,
    headers,
    body,
    isHonest: false,
  }
  const shown = body === null ? '' : ` ${body.slice(0, 120)}`
  return { name: `${method} ${target}${shown}`, request, expect }
}
