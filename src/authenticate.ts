/** Finds out whom a credential proves the caller to be. Says nothing about what the caller may do. */

import { foldAccount } from './account-name.ts'
import { checkUserName, type Credential } from './credential.ts'
import type { ClientAddress, Clock, MungeVerifier, ReplayGuard, TokenLookUp, TokenRecord } from './ports.ts'
import {
  ADMIN_SCOPES,
  isDeniedUser,
  PUBLIC_SCOPES,
  type MungePrincipal,
  type Principal,
  type Scope,
  type TokenPrincipal,
} from './principal.ts'
import type { Sha256 } from './munge/sha256.ts'
import { refuse, type Refusal } from './refusal.ts'
import { concealText } from './secret.ts'
import type { SlurmTokenSource } from './slurm-token.ts'
import { parsePresentedToken } from './tokens/token-form.ts'

export interface AuthenticatorOptions {
  readonly tokens: TokenLookUp
  readonly sha256: Pick<Sha256, 'hashToHex'>
  /** null: MUNGE is off. */
  readonly munge: MungeVerifier | null
  readonly replays: ReplayGuard
  readonly deniedUsers: ReadonlySet<string>
  /** Names that mark Slurm's header pair as an API token. */
  readonly bearerUserNames: ReadonlySet<string>
  /** Whether tokens may use the scopes of the second row. */
  readonly areAdminScopesOn: boolean
  /** Whether whoever signs Slurm tokens agrees; null: this process signs, and does. */
  readonly confirm: SlurmTokenSource['confirm']
  readonly now: Clock
}

/**
 * @param client null: the address of the client is not known.
 * @throws Outage when the token store, the verifier or the replay guard does not answer.
 */
export type Authenticate = (
  credential: Credential,
  client: ClientAddress | null,
) => Promise<Principal | Refusal>

export function createAuthenticator(options: AuthenticatorOptions): Authenticate {
  return async function authenticate(credential, client) {
    const principal =
      credential.kind === 'munge'
        ? await authenticateMunge(options, credential.credential, client)
        : await authenticateToken(options, credential.token)
    if ('kind' in principal) return principal
    return checkUserName(credential.userName, principal.slurmUser, options.bearerUserNames) ?? principal
  }
}

async function authenticateMunge(
  options: AuthenticatorOptions,
  credential: string,
  client: ClientAddress | null,
): Promise<MungePrincipal | Refusal> {
  if (options.munge === null) return refuse('munge_off')
  if (client === null) return refuse('munge_client_address_unknown')
  const identity = await options.munge.verify(credential, client)
  if ('kind' in identity) return identity
  if (isDeniedUser(options.deniedUsers, identity.user)) return refuse('munge_user_denied')
  const { user, uid, boundDigest } = identity
  const proved = { method: 'munge', slurmUser: user, uid, boundDigest } as const
  if (!('credentialDigest' in identity)) return { ...proved, slurmToken: identity.slurmToken }
  const isFirst = await options.replays.claim(identity.credentialDigest, identity.expiresAt)
  return isFirst ? { ...proved, slurmToken: null } : refuse('munge_replayed')
}

async function authenticateToken(
  options: AuthenticatorOptions,
  rawToken: string,
): Promise<TokenPrincipal | Refusal> {
  const parsed = parsePresentedToken(rawToken)
  if (parsed.kind === 'refusal') return parsed
  const digest = await options.sha256.hashToHex(parsed.digestInput)
  const record = await options.tokens.find(digest)
  if (record === null) return refuse('token_unknown')
  const judged = judgeTokenRecord(record, options)
  if ('kind' in judged || options.confirm === null) return judged
  const principal = { ...judged, presented: concealText(rawToken, digest) }
  const word = options.confirm(principal)
  return (word instanceof Promise ? await word : word) ?? principal
}

/** Whether an issued token may still be used, and as whom. */
export function judgeTokenRecord(
  record: TokenRecord,
  options: Pick<AuthenticatorOptions, 'now' | 'deniedUsers' | 'areAdminScopesOn'>,
): TokenPrincipal | Refusal {
  if (record.revokedAt !== null) return refuse('token_revoked')
  if (record.expiresAt !== null && record.expiresAt * 1000 <= options.now()) return refuse('token_expired')
  if (isDeniedUser(options.deniedUsers, record.slurmUser)) return refuse('token_user_denied')
  return findTokenPrincipal(record, options.areAdminScopesOn)
}

/** A record never changes: what was read anew is another one. So a principal is built once for each that is kept. */
const principals = {
  plain: new WeakMap<TokenRecord, TokenPrincipal>(),
  admin: new WeakMap<TokenRecord, TokenPrincipal>(),
}

function findTokenPrincipal(record: TokenRecord, areAdminScopesOn: boolean): TokenPrincipal {
  const built = areAdminScopesOn ? principals.admin : principals.plain
  const known = built.get(record)
  if (known !== undefined) return known
  const principal = buildTokenPrincipal(record, areAdminScopesOn)
  built.set(record, principal)
  return principal
}

/** Scopes that are not open here are dropped: a row that carries one grants nothing by it. */
function buildTokenPrincipal(record: TokenRecord, areAdminScopesOn: boolean): TokenPrincipal {
  const open: readonly Scope[] = areAdminScopesOn ? [...PUBLIC_SCOPES, ...ADMIN_SCOPES] : PUBLIC_SCOPES
  return {
    method: 'token',
    slurmUser: record.slurmUser,
    tokenId: record.id,
    tokenName: record.name,
    scopes: new Set(open.filter((scope) => record.scopes.includes(scope))),
    account: record.account === null ? null : foldAccount(record.account),
    expiresAt: record.expiresAt,
    uid: record.uid,
    policyVersion: record.policyVersion,
    presented: null,
  }
}
