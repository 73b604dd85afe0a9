/** Which reads are the same one: of the same Slurm user, under the same policy, of the same thing in the same form. */

import type { Grant } from '../authorize.ts'
import { buildQuery } from '../call.ts'
import { buildPath } from '../operation.ts'
import type { Principal } from '../principal.ts'
import type { Accept } from '../upstream-request.ts'

/** The order of query parameters is the client's whim; slurmrestd takes any. Every part is quoted: none can run into the next. */
export function buildReadKey({ principal, call }: Grant, accept: Accept): string {
  const query = [...call.query].sort(([left], [right]) => (left < right ? -1 : 1))
  const target = `${buildPath(call.operation)}${buildQuery(query)}`
  return JSON.stringify([...describeIdentity(principal), accept, target])
}

/** slurmrestd answers the Slurm user, whatever the credential was; a uid or a policy that has changed is another one. */
function describeIdentity(principal: Principal): readonly (string | number | null)[] {
  const { slurmUser, uid } = principal
  return [slurmUser, uid, principal.method === 'token' ? principal.policyVersion : null]
}
