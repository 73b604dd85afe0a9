/**
 * Flags of a cancellation or requeue that act within the named job. The others reach beyond it, to siblings on other
 * clusters, reservations and crontabs, and are closed to restricted tokens.
 * Source: the schemas of `DELETE jobs`, `DELETE job/{job_id}` and `POST jobs/requeue`, v0.0.40 to v0.0.45.
 */
export const FLAGS_WITHIN_JOB: ReadonlySet<string> = new Set([
  ...['BATCH_JOB', 'FULL_JOB', 'FULL_STEPS_ONLY', 'HURRY', 'VERBOSE'],
  ...['Hold', 'Incomplete', 'SpecialExit'],
])
