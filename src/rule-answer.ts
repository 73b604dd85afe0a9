/** What a rule answers with: the shape of every row of the tables of refusals and outages. */

/** The RFC 6750 section 3.1 `error` that goes into `WWW-Authenticate`, where the rule has one. */
type BearerError = 'invalid_request' | 'invalid_token' | 'insufficient_scope'

export interface RuleAnswer {
  /** HTTP status. */
  readonly status: 400 | 401 | 403 | 404 | 405 | 413 | 415 | 429 | 431 | 500 | 502 | 503 | 504
  /** Fixed `error_number`, 20000 to 20999, clear of Slurm's own. Never reused. */
  readonly number: number
  /** What an honest caller should do next. */
  readonly description: string
  readonly bearerError?: BearerError
}
