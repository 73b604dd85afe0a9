/** Why the real cluster cannot be brought up here, in words. */

import { existsSync, readdirSync } from 'node:fs'
import { isEnclosed } from './enclosure.mjs'
import { isOnPath } from './install.mjs'

/** @returns null: nothing stands in the way. */
export function findClusterObstacle() {
  const folder = 'test/integration'
  const hasTests = existsSync(folder) && readdirSync(folder).some((name) => name.endsWith('.test.ts'))
  if (!hasTests) return 'there are no integration tests yet'
  if (process.getuid?.() !== 0) return 'a real Slurm needs root'
  if (!isEnclosed()) return 'namespaces are not possible here'
  const missing = ['munged', 'debootstrap'].filter((program) => !isOnPath(program))
  return missing.length > 0 ? `${missing.join(' and ')} is missing` : null
}
