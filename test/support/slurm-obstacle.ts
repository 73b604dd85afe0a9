/** 26.05's packages change from day to day: where they do not install, that is said, and the run goes on. */

import { ensureBaseRoot, type Suite } from '../../functions/up/base-root.ts'

/** @returns why there is no root of that suite; null: there is one. */
export async function findSlurmObstacle(suite: Suite): Promise<string | null> {
  const cacheDir = process.env['SLURMGATE_CACHE'] ?? '/var/cache/slurmgate'
  return ensureBaseRoot({
    suite,
    cacheDir,
    onProgress: (line) => process.stderr.write(`  ${suite}: ${line}\n`),
  }).then(
    () => null,
    (cause: unknown) => (cause instanceof Error ? cause.message : String(cause)),
  )
}
