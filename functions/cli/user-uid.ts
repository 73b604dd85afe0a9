/** The uid of a new token's user: given, or as this host knows it. */

import { UID_MAX } from '../../src/munge/verifier-settings.ts'
import type { FindUid } from '../../src/tokens/identity-drift.ts'
import { Outage } from '../../src/refusal.ts'
import type { ServiceUserWarning } from '../../src/tokens/service-user.ts'
import { UsageError } from './command.ts'

/** @throws UsageError */
export function readUid(raw: string | undefined): number | null {
  if (raw === undefined) return null
  const uid = /^\d{1,10}$/.test(raw) ? Number(raw) : Number.NaN
  if (uid <= UID_MAX) return uid
  throw new UsageError(`--uid takes a number from 0 to ${UID_MAX}`)
}

/** @returns the uid, where name and uid lead to each other; else what to warn of. Never throws. */
export async function findOwnUid(slurmUser: string, findUid: FindUid): Promise<number | ServiceUserWarning> {
  try {
    const found = await findUid(slurmUser)
    if (found === null) return warn(`this host has no user ${slurmUser}`)
    if (found.nameOfUid === slurmUser) return found.uid
    return warn(`${slurmUser} is uid ${found.uid} here, and that is ${found.nameOfUid ?? 'nobody'}`)
  } catch (cause) {
    return warn(
      `${slurmUser} was not found out: ${cause instanceof Outage ? cause.message : 'getent failed'}`,
    )
  }
}

function warn(what: string): ServiceUserWarning {
  return {
    code: 'uid_unknown',
    text: `${what}: the token has no uid, so nobody can tell if its user becomes another one. Issue it where the user is known, or with --uid N`,
  }
}
