/** Whether tests with a real munged cannot run here. Where CI runs they do: there a skipped part fails the run. */

import { execFileSync } from 'node:child_process'

/** @param file whose tests are skipped then, in words. */
export function isMungedMissing(file: string): boolean {
  try {
    execFileSync('munged', ['--version'])
    return false
  } catch {
    console.warn(`${file} is skipped: no munged on the PATH`)
    return true
  }
}
