/** Refusals of a request, whoever sends it. Holds no secret and nothing the client sent. */

import type { RuleAnswer } from './rule-answer.ts'

export const REQUEST_REFUSALS = {
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
  rate_limited: {
    status: 429,
    number: 20420,
    description:
      'this caller sends too many requests; wait for the seconds in Retry-After, then send it again (a MUNGE credential was used up: create a fresh one)',
  },
  head_too_large: { status: 431, number: 20500, description: 'the request head is larger than 16 KiB' },
} as const satisfies Record<string, RuleAnswer>
