/** What `slurmgate doctor` says of one thing, and how a check becomes that. */

import { Outage } from '../../src/refusal.ts'
import { describeDatabaseError } from '../../src/tokens/database-error.ts'
import { CommandFailure } from './command.ts'

export interface Finding {
  readonly dependency: string
  /** `warn` is no failure; `off`: not in use, or not asked. */
  readonly state: 'ok' | 'warn' | 'FAILED' | 'off'
  readonly detail: string
}

/** Fine, or what should be done about it. */
export type Said = string | { readonly warning: string } | { readonly off: string }

/** @returns what to say about something that is in order so far; throws where it is not. */
export type Check = () => Promise<Said>

export async function find(dependency: string, check: Check): Promise<Finding> {
  try {
    const said = await check()
    if (typeof said === 'string') return { dependency, state: 'ok', detail: said }
    return 'off' in said
      ? { dependency, state: 'off', detail: said.off }
      : { dependency, state: 'warn', detail: said.warning }
  } catch (error) {
    const isOurs = error instanceof Outage || error instanceof CommandFailure
    return { dependency, state: 'FAILED', detail: isOurs ? error.message : describeDatabaseError(error) }
  }
}
