/**
 * Reads the one credential of a request from its raw headers. Proves nothing: what it returns is what the client
 * claims. Refuses two credentials and repeated headers, because runtimes and proxies read those differently.
 */

import { trimSpace } from './header-fields.ts'
import { CREDENTIAL_MAX_CHARACTERS } from './limits.ts'
import type { RawHeaders } from './ports.ts'
import { refuse, type Refusal } from './refusal.ts'

/** What the client presents. `userName`: the claimed name, to be compared once the principal is known. */
export type Credential =
  | { readonly kind: 'munge'; readonly credential: string; readonly userName: string | null }
  | { readonly kind: 'token'; readonly token: string; readonly userName: string | null }

interface CredentialHeaders {
  authorization: string | null
  token: string | null
  userName: string | null
}

/** @returns the credential, or why there is not exactly one. */
export function readCredential(headers: RawHeaders): Credential | Refusal {
  const read = readCredentialHeaders(headers)
  if ('kind' in read) return read
  const { authorization, token, userName } = read
  const bearer = authorization === null ? null : readAuthorization(authorization)

  const isTwo = bearer !== null && token !== null && token !== ''
  if (isTwo && !isSameToken(bearer, token)) return refuse('credential_conflict')
  if (userName === '' || token === '') return refuse('credential_empty')
  if (bearer !== null) {
    if (bearer.kind === 'refusal') return bearer
    return bearer.kind === 'munge'
      ? limit({ kind: 'munge', credential: bearer.value, userName })
      : limit({ kind: 'token', token: bearer.value, userName })
  }
  if (token !== null) return limit({ kind: 'token', token, userName })
  return refuse(userName === null ? 'credential_missing' : 'user_name_alone')
}

/**
 * A comma counts as repetition: workerd joins repeated headers with one (measured), and no credential or user name
 * of ours contains any.
 */
function readCredentialHeaders(headers: RawHeaders): CredentialHeaders | Refusal {
  const found: CredentialHeaders = { authorization: null, token: null, userName: null }
  const fields = {
    authorization: 'authorization',
    'x-slurm-user-token': 'token',
    'x-slurm-user-name': 'userName',
  } as const
  for (const [name, value] of headers) {
    const lowerName = name.toLowerCase()
    if (!Object.hasOwn(fields, lowerName)) continue
    const field = fields[lowerName as keyof typeof fields]
    if (found[field] !== null || value.includes(',')) return refuse('credential_repeated')
    found[field] = trimSpace(value)
  }
  return found
}

type Authorization = { kind: 'munge' | 'bearer'; value: string } | Refusal

/** RFC 9110 section 11.4: a scheme in any case, then its credential. */
function readAuthorization(header: string): Authorization {
  if (header === '') return refuse('credential_empty')
  const space = header.search(/[ \t]/)
  const scheme = (space === -1 ? header : header.slice(0, space)).toLowerCase()
  if (scheme !== 'munge' && scheme !== 'bearer') return refuse('credential_scheme_unknown')
  const value = space === -1 ? '' : trimSpace(header.slice(space))
  return value === '' ? refuse('credential_empty') : { kind: scheme, value }
}

/** An unknown scheme beside a token is a second credential; an empty Authorization is none, and refused as empty. */
function isSameToken(authorization: Authorization, token: string): boolean {
  if (authorization.kind === 'refusal') return authorization.rule === 'credential_empty'
  return authorization.kind === 'bearer' && authorization.value === token
}

function limit(credential: Credential): Credential | Refusal {
  const value = credential.kind === 'munge' ? credential.credential : credential.token
  return value.length > CREDENTIAL_MAX_CHARACTERS ? refuse('credential_too_long') : credential
}

/**
 * The claimed name must mark an API token or be the principal's own (CONTRACT "Credentials"), else a client that
 * believes to act as somebody else would silently act as this user.
 */
export function checkUserName(
  userName: string | null,
  slurmUser: string,
  bearerUserNames: ReadonlySet<string>,
): Refusal | null {
  if (userName === null || userName === slurmUser || bearerUserNames.has(userName)) return null
  return refuse('user_name_mismatch')
}
