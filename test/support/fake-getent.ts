/** The only user that a process knows whose PATH begins with this: alice. */

import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const ALICE_UID = 6001

/** @param bin a folder that is made for it. @returns the PATH. */
export function writeGetent(bin: string): string {
  mkdirSync(bin)
  const entry = `alice:x:${String(ALICE_UID)}:${String(ALICE_UID)}::/:/bin/sh`
  const script = `#!/bin/sh\ncase "$2" in ${String(ALICE_UID)}|alice) echo '${entry}';; *) exit 2;; esac\n`
  writeFileSync(join(bin, 'getent'), script)
  chmodSync(join(bin, 'getent'), 0o755)
  return `${bin}:${process.env['PATH'] ?? ''}`
}
