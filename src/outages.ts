/**
 * Rules for a dependency that did not answer, or for our own failure: always 5xx, the gate stays closed. Holds no secret
 * and nothing the client sent.
 */

import type { RuleAnswer } from './rule-answer.ts'

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
  signer_unavailable: {
    status: 503,
    number: 20615,
    description: 'nobody signs Slurm tokens at the moment; try again shortly',
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
  verifier_overloaded: {
    status: 503,
    number: 20607,
    description: 'the MUNGE verifier is asked more than it takes; try again shortly',
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
