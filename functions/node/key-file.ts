/** Reads key files, and refuses those that other users of the host could read or exchange. */

import { readFileSync, statSync } from 'node:fs'
import type { ReadKeyFile } from '../../src/slurm-key-settings.ts'

/** Read and write for "others"; the group is the operator's business (Slurm's own key is often slurm:slurm 0640). */
const OTHERS = 0o006
const KEY_FILE_MAX_BYTES = 64 * 1024

export const readKeyFile: ReadKeyFile = (path) => {
  try {
    const { mode, size } = statSync(path)
    if ((mode & OTHERS) !== 0) return 'can be read or written by others: chmod o-rw'
    if (size > KEY_FILE_MAX_BYTES) return `is larger than ${KEY_FILE_MAX_BYTES} bytes`
    return new Uint8Array(readFileSync(path))
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown'
    return `cannot be read (${code})`
  }
}
