/** Refusals of a credential, before anybody is believed. Holds no secret and nothing the client sent. */

import type { RuleAnswer } from './rule-answer.ts'

const MAKE_MUNGE = 'create it with: munge -n -t 5'
const EMPTY_HEADER = 'curl leaves out a header without a value: is a variable empty?'

export const CREDENTIAL_REFUSALS = {
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
  munge_edge_needs_map: {
    status: 401,
    number: 20156,
    description:
      'Cloudflare names the address of your network, not of your host, so MUNGE credentials are not accepted here; use an API token, or the gate on the cluster (operator: MUNGE_HOST_BINDING=map at the verifier, or MUNGE_MODE=off here)',
  },
} as const satisfies Record<string, RuleAnswer>
