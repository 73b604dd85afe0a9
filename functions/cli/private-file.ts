/** Writes a private key into a new file of its owner's. What is there already is left alone. */

import { writeFileSync } from 'node:fs'
import { CommandFailure } from './command.ts'

const OWNER_ONLY = 0o600

/** @throws CommandFailure, also where there is a file of that name. */
export function writePrivateFile(file: string, value: object): void {
  try {
    writeFileSync(file, `${JSON.stringify(value)}\n`, { mode: OWNER_ONLY, flag: 'wx' })
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown'
    throw new CommandFailure(`${file} cannot be made (${code})`)
  }
}
