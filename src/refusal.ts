/**
 * Every deliberate "no" and every outage the gate can answer with: one table from rule name to status, number and
 * public text. Nothing here may contain a secret or anything the client sent.
 */

/** The RFC 6750 section 3.1 `error` that goes into `WWW-Authenticate`, where the rule has one. */
export type BearerError = 'invalid_request' | 'invalid_token' | 'insufficient_scope'

interface RuleAnswer {
  /** HTTP status. */
  readonly status: 400 | 401 | 403 | 404 | 405 | 413 | 415 | 431 | 500 | 502 | 503 | 504
  /** Fixed `error_number`, 20000 to 20999, clear of Slurm's own. Never reused. */
  readonly number: number
  /** What an honest caller should do next. */
  readonly description: string
  readonly bearerError?: BearerError
}

const MAKE_MUNGE = 'create it with: munge -n -t 5'
const EMPTY_HEADER = 'curl leaves out a header without a value: is a variable empty?'

/** Rules that refuse a request. */
export const REFUSALS = {
  credential_conflict: {
    status: 400,
    number: 20001,
    bearerError: 'invalid_request',
    description: 'the request carries two different credentials; send exactly one',
  },
  credential_repeated: {
    status: 400,
    number: 20002,
    bearerError: 'invalid_request',
    description: 'a credential header is repeated; send each credential header once',
  },
  credential_missing: {
    status: 401,
    number: 20100,
    description: `no credential; send "Authorization: MUNGE <credential>" (${MAKE_MUNGE}) or "Authorization: Bearer <API token>" (${EMPTY_HEADER})`,
  },
  credential_scheme_unknown: {
    status: 401,
    number: 20101,
    description: 'unknown Authorization scheme; write MUNGE or Bearer, a space, and the credential',
  },
  credential_empty: {
    status: 401,
    number: 20102,
    bearerError: 'invalid_token',
    description: 'the credential is empty; is the variable or command that fills it in empty?',
  },
  credential_too_long: {
    status: 401,
    number: 20103,
    bearerError: 'invalid_token',
    description: 'the credential is longer than 8 KiB; no credential of this gate is',
  },
  user_name_alone: {
    status: 401,
    number: 20104,
    description: `X-Slurm-User-Name without X-Slurm-User-Token; send both, or the token alone (${EMPTY_HEADER})`,
  },
  user_name_mismatch: {
    status: 401,
    number: 20105,
    bearerError: 'invalid_token',
    description:
      "X-Slurm-User-Name is not the credential's user; leave the header out, or send the name that marks API tokens here",
  },
  slurm_token_presented: {
    status: 401,
    number: 20106,
    bearerError: 'invalid_token',
    description:
      "this is a Slurm JWT (scontrol token); the gate takes API tokens issued by this site's staff, or MUNGE credentials",
  },
  token_malformed: {
    status: 401,
    number: 20120,
    bearerError: 'invalid_token',
    description: 'this is not an API token; was it copied whole? Ask for a new one if it is lost',
  },
  token_unknown: {
    status: 401,
    number: 20121,
    bearerError: 'invalid_token',
    description: 'unknown API token; check that it was copied whole and belongs to this site',
  },
  token_expired: {
    status: 401,
    number: 20122,
    bearerError: 'invalid_token',
    description: 'this API token has expired; ask the staff that issued it for a new one',
  },
  token_revoked: {
    status: 401,
    number: 20123,
    bearerError: 'invalid_token',
    description: 'this API token was revoked; ask the staff that issued it for a new one',
  },
  token_user_denied: {
    status: 401,
    number: 20124,
    bearerError: 'invalid_token',
    description: "this API token's Slurm user may not use the gate; ask the staff that issued it",
  },
  token_altered: {
    status: 401,
    number: 20125,
    bearerError: 'invalid_token',
    description: 'this API token is no longer as it was issued; ask the staff that issued it for a new one',
  },
  token_not_sealed: {
    status: 401,
    number: 20126,
    bearerError: 'invalid_token',
    description:
      'this API token was issued in a way that is not accepted any more; ask the staff that issued it for a new one',
  },
  token_sealed_too_early: {
    status: 401,
    number: 20127,
    bearerError: 'invalid_token',
    description:
      'this API token is from a time that is not accepted any more; ask the staff that issued it for a new one',
  },
  token_user_changed: {
    status: 401,
    number: 20128,
    bearerError: 'invalid_token',
    description:
      "this API token's user is not the one it was issued for any more; ask the staff that issued it for a new one",
  },
  munge_malformed: {
    status: 401,
    number: 20140,
    description: `not a complete MUNGE credential; ${MAKE_MUNGE}`,
  },
  munge_ttl_too_long: {
    status: 401,
    number: 20141,
    description: `this credential lives too long; ${MAKE_MUNGE}`,
  },
  munge_expired: {
    status: 401,
    number: 20142,
    description: `this credential has expired; create a fresh one for each request: munge -n -t 5`,
  },
  munge_rewound: {
    status: 401,
    number: 20143,
    description:
      "this credential was made in the future; the clock of the host that made it is ahead of the verifier's",
  },
  munge_replayed: {
    status: 401,
    number: 20144,
    description: 'this credential was used before; create a fresh one for each request: munge -n -t 5',
  },
  munge_wrong_host: {
    status: 401,
    number: 20145,
    description:
      'this credential was made on another host than the one that sends it; create it where the request is sent from',
  },
  munge_payload: {
    status: 401,
    number: 20146,
    description: `this credential carries a payload, so it was made for something else; ${MAKE_MUNGE}`,
  },
  munge_uid_too_low: {
    status: 401,
    number: 20147,
    description: 'system users such as root may not use the gate; call it as an ordinary user',
  },
  munge_user_denied: { status: 401, number: 20148, description: 'this user may not use the gate' },
  munge_user_unknown: {
    status: 401,
    number: 20149,
    description: "the credential's uid has no user name on the cluster",
  },
  munge_restricted: {
    status: 401,
    number: 20150,
    description: `this credential is restricted to another user or group; ${MAKE_MUNGE}`,
  },
  munge_invalid: {
    status: 401,
    number: 20151,
    description: `munged does not accept this credential; was it made on this cluster and sent unchanged? ${MAKE_MUNGE}`,
  },
  munge_off: {
    status: 401,
    number: 20152,
    description: 'MUNGE credentials are not accepted here; use an API token, or the gate on the cluster',
  },
  munge_client_address_unknown: {
    status: 401,
    number: 20153,
    description:
      'MUNGE credentials are not accepted here: this gate does not learn the address of its clients (CLIENT_ADDRESS_FROM); use an API token',
  },
  munge_request_mismatch: {
    status: 401,
    number: 20154,
    description:
      'this credential was made for another request: method, target or body differ from those it is bound to, or were changed on the way; create it with: slurmgate munge-header METHOD TARGET',
  },
  munge_binding_required: {
    status: 401,
    number: 20155,
    description:
      'writes need a credential that is bound to its request here; create it with: slurmgate munge-header METHOD TARGET [--body FILE]',
  },
  version_not_served: {
    status: 400,
    number: 20200,
    description: 'this API version is not served; see /meta/versions/supported, or use latest',
  },
  path_unknown: {
    status: 404,
    number: 20201,
    description: 'no such path; see /openapi/v3 for what slurmrestd offers',
  },
  path_id_malformed: {
    status: 404,
    number: 20202,
    description: 'the id in the path is not in its canonical form; job ids are decimal without leading zeros',
  },
  method_not_allowed: { status: 405, number: 20203, description: 'this path does not take this method' },
  insufficient_scope: {
    status: 403,
    number: 20300,
    bearerError: 'insufficient_scope',
    description: 'this API token lacks the scope for this operation',
  },
  operation_closed: {
    status: 403,
    number: 20301,
    description: 'this operation is not open to this API token',
  },
  account_mismatch: {
    status: 403,
    number: 20302,
    description: 'this API token may write to jobs of its own Slurm account only',
  },
  query_not_allowed: {
    status: 400,
    number: 20400,
    description: 'this operation does not take this query parameter',
  },
  query_malformed: {
    status: 400,
    number: 20401,
    description:
      'the query string is malformed; percent-encode names and values as UTF-8 and send each name once',
  },
  body_not_allowed: {
    status: 400,
    number: 20402,
    description: 'this operation takes no body; send parameters in the query',
  },
  query_on_post: {
    status: 400,
    number: 20403,
    description: 'this operation takes no query; send parameters in the body',
  },
  content_type_unsupported: {
    status: 415,
    number: 20410,
    description: 'send the body with "Content-Type: application/json"',
  },
  body_too_large: { status: 413, number: 20411, description: 'the body is larger than this gate accepts' },
  body_malformed: {
    status: 400,
    number: 20412,
    description:
      'the body could not be read whole; check Content-Length and Content-Encoding (none is accepted)',
  },
  json_malformed: { status: 400, number: 20413, description: 'the body is not valid JSON' },
  job_field_not_allowed: {
    status: 403,
    number: 20414,
    description: 'the job description has a field that is not open to API tokens',
  },
  job_malformed: {
    status: 400,
    number: 20415,
    description: 'the body is not a job description; see /openapi/v3',
  },
  document_harmful: {
    status: 400,
    number: 20416,
    description: 'slurmrestd would not read this document safely',
  },
  head_too_large: { status: 431, number: 20500, description: 'the request head is larger than 16 KiB' },
} as const satisfies Record<string, RuleAnswer>

/** Rules for a dependency that did not answer, or for our own failure: always 5xx, the gate stays closed. */
export const OUTAGES = {
  token_store_unavailable: {
    status: 503,
    number: 20600,
    description: 'the token store does not answer; try again shortly',
  },
  verifier_unavailable: {
    status: 503,
    number: 20601,
    description: 'the MUNGE verifier does not answer; try again shortly',
  },
  munged_unavailable: {
    status: 503,
    number: 20602,
    description: 'munged does not answer; try again shortly',
  },
  names_unavailable: {
    status: 503,
    number: 20603,
    description: 'user names cannot be looked up on the cluster; try again shortly',
  },
  replay_guard_unavailable: {
    status: 503,
    number: 20604,
    description: 'the replay guard does not answer; try again shortly',
  },
  versions_unknown: {
    status: 503,
    number: 20605,
    description: 'slurmrestd has not told its API versions yet; try again shortly',
  },
  overloaded: {
    status: 503,
    number: 20606,
    description: 'too many requests are waiting for slurmrestd; try again shortly',
  },
  upstream_unreachable: {
    status: 502,
    number: 20610,
    description:
      'slurmrestd cannot be reached; a write may or may not have happened, look before sending it again',
  },
  slurm_token_refused: {
    status: 502,
    number: 20611,
    description:
      "slurmrestd refused the gate's own Slurm token; the operator has to look at the gate's key and clock",
  },
  upstream_timeout: {
    status: 504,
    number: 20612,
    description:
      'slurmrestd took too long; a write may or may not have happened, look before sending it again',
  },
  job_check_failed: {
    status: 502,
    number: 20613,
    description:
      'slurmrestd did not say which account the job belongs to, so nothing was changed; try again shortly',
  },
  job_check_stale: {
    status: 503,
    number: 20614,
    description:
      'slurmrestd was too busy between the look at the job and the write, so nothing was changed; try again',
  },
  internal_error: {
    status: 500,
    number: 20699,
    description: 'the gate failed; the operator finds the reason under this request id',
  },
} as const satisfies Record<string, RuleAnswer>

export type RefusalRule = keyof typeof REFUSALS
export type OutageRule = keyof typeof OUTAGES
export type Rule = RefusalRule | OutageRule

/** A deliberate no. A value, never thrown. */
export interface Refusal {
  readonly kind: 'refusal'
  readonly rule: RefusalRule
  /** Replaces the table's public text where a number or name helps; never holds a secret. */
  readonly description?: string
  /** The scope that was missing, for `WWW-Authenticate` (RFC 6750 section 3). */
  readonly scope?: string
  /** The methods a path takes, for `Allow` (RFC 9110 section 15.5.6). */
  readonly allow?: readonly string[]
}

export function refuse(rule: RefusalRule, more: Omit<Refusal, 'kind' | 'rule'> = {}): Refusal {
  return { kind: 'refusal', rule, ...more }
}

export function isRefusal(value: unknown): value is Refusal {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'refusal'
}

/** A dependency did not answer, or we failed. Thrown; `cause` and `detail` are for the operator's log alone. */
export class Outage extends Error {
  override readonly name = 'Outage'
  readonly rule: OutageRule

  /** @param detail operator text: what did not answer and how; never a credential, token or key. */
  constructor(rule: OutageRule, detail: string, options?: { cause?: unknown }) {
    super(detail, options)
    this.rule = rule
  }
}

export function findRuleAnswer(rule: Rule): RuleAnswer {
  return rule in REFUSALS ? REFUSALS[rule as RefusalRule] : OUTAGES[rule as OutageRule]
}

/** @param methods that the path takes. */
export function refuseMethod(methods: readonly string[]): Refusal {
  return refuse('method_not_allowed', {
    allow: methods,
    description: `this path does not take this method; it takes ${methods.join(', ')}`,
  })
}
