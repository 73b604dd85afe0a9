/** Reads slurmrestd's error answers as far as the gate has to understand them. */

/** One entry of `errors`: `error_number`, or `error_code` and `errno` in v0.0.36. */
export interface SlurmError {
  readonly number: number | null
  readonly description: string
}

/** ESLURM_INVALID_JOB_ID: 404 on 24.11+, 500 on 22.05 (measured). */
const INVALID_JOB_ID = 2017
/** v0.0.36 has no number for it: `{"error": "_handle_job_get: unknown job 7", "error_code": 0}` (measured). */
const UNKNOWN_IN_36 = /: unknown job \d+$/
/** SLURM_PROTOCOL_AUTHENTICATION_ERROR: 500 on 22.05, 511 on 24.11+ (measured). */
const AUTHENTICATION_ERROR = 1007
/** "Unable to connect to database": for an outage of slurmdbd as well as for a token it does not take (measured). */
const NO_DATABASE = 7000

/**
 * @param errors the `errors` of an answer, untrusted.
 * @returns [] where there are none; something unreadable is one error without a number.
 */
export function readSlurmErrors(errors: unknown): readonly SlurmError[] {
  if (errors === undefined || errors === null) return []
  const list: readonly unknown[] = Array.isArray(errors) ? errors : [null]
  return list.map((error) => {
    const { error_number, error_code, errno, description, error: text } = isObject(error) ? error : {}
    const number = error_number ?? error_code ?? errno
    return {
      number: typeof number === 'number' ? number : null,
      description: typeof description === 'string' ? description : typeof text === 'string' ? text : '',
    }
  })
}

export function isUnknownJob(errors: readonly SlurmError[]): boolean {
  return errors.some(
    ({ number, description }) =>
      number === INVALID_JOB_ID || (number === 0 && UNKNOWN_IN_36.test(description)),
  )
}

/** Whether an answer is about the gate's own token: then it says nothing about the caller. */
export function isTokenRefused(status: number, errors: readonly SlurmError[]): boolean {
  if (status === 401 || status === 511) return true
  return errors.some(
    ({ number, description }) =>
      number === AUTHENTICATION_ERROR || (number === NO_DATABASE && /authentication/i.test(description)),
  )
}

/** @throws SyntaxError where the bytes are no JSON object. */
export function parseSlurmAnswer(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  const document: unknown = JSON.parse(new TextDecoder().decode(bytes))
  if (!isObject(document)) throw new SyntaxError('not an object')
  return document
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
