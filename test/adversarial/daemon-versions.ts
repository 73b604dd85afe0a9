/** The API versions of the three Slurms, and where their documents differ. Source: their OpenAPI documents. */

/** Up to here `script` stands at top level only and `environment` is an object. */
export const OLD_STYLE_UNTIL = 38

/** 22.05's own, and what a job description needs in each style. */
export function buildDescription(
  version: number,
  fields: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  return {
    name: 'hostile',
    environment: version <= OLD_STYLE_UNTIL ? { PATH: '/usr/bin:/bin' } : ['PATH=/usr/bin:/bin'],
    current_working_directory: '/tmp',
    [version === 36 ? 'standard_out' : 'standard_output']: '/dev/null',
    standard_error: '/dev/null',
    hold: true,
    ...fields,
  }
}

export const SCRIPT = '#!/bin/bash\nsleep 1000000\n'

/** A whole submission; several descriptions make a het job. */
export function buildSubmission(version: number, descriptions: readonly Record<string, unknown>[]): unknown {
  const [first = {}] = descriptions
  if (descriptions.length > 1) return { script: SCRIPT, jobs: descriptions }
  return version <= OLD_STYLE_UNTIL ? { script: SCRIPT, job: first } : { job: { ...first, script: SCRIPT } }
}
