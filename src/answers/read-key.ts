/** Which reads are the same one: of the same Slurm user, under the same policy, of the same thing in the same form. */

import type { Grant } from '../authorize.ts'
import { buildQuery } from '../call.ts'
import { buildPath } from '../operation.ts'
import type { Principal } from '../principal.ts'
import type { Accept } from '../upstream-request.ts'

/** What is kept counts with room for this. V8 tells strings of 16,384 characters and more apart by comparing them, one by one. */
const KEY_MAX_CHARACTERS = 1_000

/**
 * The order of query parameters is the client's whim; slurmrestd takes any. Every part is quoted: none can run into the next.
 * @returns null: it says more than can be kept for it, and nobody else will ask just that.
 */
export function buildReadKey({ principal, call }: Grant, accept: Accept): string | null {
  const query = [...call.query].sort(([left], [right]) => (left < right ? -1 : 1))
  const target = `${buildPath(call.operation)}${buildQuery(query)}`
  const key = JSON.stringify([...describeIdentity(principal), accept, target])
  return key.length > KEY_MAX_CHARACTERS ? null : key
}

/** slurmrestd answers the Slurm user, whatever the credential was; a uid or a policy that has changed is another one. */
function describeIdentity(principal: Principal): readonly (string | number | null)[] {
  const { slurmUser, uid } = principal
  return [slurmUser, uid, principal.method === 'token' ? principal.policyVersion : null]
}
