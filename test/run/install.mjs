/** What the tests need on the machine beside npm packages: a few Debian packages, a second Node outside the repository. */

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { runStep } from './step.mjs'

const MINUTE = 60_000
const DONE = { ok: true, milliseconds: 0 }

/** Programs the tests need beyond what npm brings. */
const PROGRAMS = ['munged', 'munge', 'curl', 'debootstrap', 'setpriv', 'unshare', 'ip']

/** By the same code as `npm run up`, which so knows them as its own; elsewhere the operator is told. */
export async function installPackages() {
  const missing = PROGRAMS.filter((program) => !isOnPath(program))
  if (missing.length === 0) return DONE
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) {
    return { ...DONE, skipped: `${missing.join(', ')} missing, and not root on Debian: install them by hand` }
  }
  return runStep(process.execPath, ['dist/up.js', '--packages'], { limit: 15 * MINUTE })
}

/** @returns the path of a Node 24 binary, or null and the reason in words. */
export async function installNode24() {
  const directory =
    process.getuid?.() === 0 ? '/var/cache/slurmgate/node24' : join(homedir(), '.cache/slurmgate/node24')
  const binary = join(directory, 'node_modules/node/bin/node')
  if (isNode24(binary)) return { binary }
  mkdirSync(directory, { recursive: true })
  const { note } = await runStep(
    'npm',
    ['install', 'node@24', '--prefix', directory, '--no-audit', '--no-fund'],
    {
      limit: 5 * MINUTE,
    },
  )
  if (isNode24(binary)) return { binary }
  return { binary: null, reason: `Node 24 could not be fetched from the npm registry ${note ?? ''}`.trim() }
}

function isNode24(binary) {
  try {
    return execFileSync(binary, ['--version'], { encoding: 'utf8' }).startsWith('v24.')
  } catch {
    return false
  }
}

export function isOnPath(program) {
  return [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin'].some((directory) =>
    existsSync(join(directory, program)),
  )
}
