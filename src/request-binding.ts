/**
 * Holds a request against the digest that its MUNGE credential carries: one that was seen on its way, or in `ps`, is
 * worth nothing for another request. Says nothing about what the request may do.
 */

import { announcesBody, readBody } from './call.ts'
import type { GateRequest } from './gate-request.ts'
import { digestRequest } from './munge/binding-payload.ts'
import type { Operation } from './operation.ts'
import type { Principal } from './principal.ts'
import { refuse, type Refusal } from './refusal.ts'

/**
 * For a bound credential the body is read here, before anything else is decided about the request.
 * @returns the request, its body kept for whoever reads it next; or 400 and 413 for a body that cannot be compared.
 */
export async function confirmBinding(
  request: GateRequest,
  principal: Principal,
  bodyMaxBytes: number,
): Promise<GateRequest | Refusal> {
  if (principal.method !== 'munge' || principal.boundDigest === null) return request
  const stream = request.readBody()
  // Node hands out no body of a GET: what nobody can read is not what was bound.
  if (stream === null && announcesBody(request.headers)) return refuse('munge_request_mismatch')
  const body = await readBody({ headers: request.headers, readBody: () => stream }, bodyMaxBytes)
  if ('kind' in body) return body
  const digest = await digestRequest({ method: request.method, target: request.target, body })
  if (!isSameDigest(digest, principal.boundDigest)) return refuse('munge_request_mismatch')
  return { ...request, readBody: () => (body.length === 0 ? null : new Response(body).body) }
}

/** `MUNGE_REQUIRE_BINDING=writes`. By what the operation does, not by its method: `GET reconfigure` is a write. */
export function requireBinding(principal: Principal, operation: Operation): Refusal | null {
  const isBare = principal.method === 'munge' && principal.boundDigest === null
  return isBare && operation.route.effect === 'write' ? refuse('munge_binding_required') : null
}

/** In the same time wherever they differ: no digest is found out piece by piece. Both are 64 characters. */
function isSameDigest(left: string, right: string): boolean {
  let difference = left.length ^ right.length
  for (let index = 0; index < left.length; index += 1) {
    difference |= left.charCodeAt(index) ^ right.charCodeAt(index)
  }
  return difference === 0
}
