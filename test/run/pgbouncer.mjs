/** A PgBouncer for the tests, unpacked outside the repository: installed, Debian's package would start a service. */

import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { isOnPath } from './install.mjs'
import { runStep } from './step.mjs'

const MINUTE = 60_000
const DONE = { ok: true, milliseconds: 0 }
const DIRECTORY = '/var/cache/slurmgate/pgbouncer'

/** Where `test/support/pg-bouncer.ts` finds it. With the libraries that are missing here. Elsewhere than on Debian as root the operator is told. */
export async function unpackPgBouncer() {
  if (isOnPath('pgbouncer') || existsSync(join(DIRECTORY, 'usr/sbin/pgbouncer'))) return DONE
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version'))
    return { ...DONE, skipped: 'pgbouncer missing, and not root on Debian: install it by hand' }
  const packages = `${DIRECTORY}.packages`
  const fresh = `${DIRECTORY}.new`
  for (const directory of [packages, fresh]) rmSync(directory, { recursive: true, force: true })
  mkdirSync(join(packages, 'partial'), { recursive: true })
  const fetched = await fetchPackages(packages)
  if (!fetched.ok) return fetched
  for (const name of readdirSync(packages).filter((file) => file.endsWith('.deb'))) {
    const unpacked = await runStep('dpkg-deb', ['-x', join(packages, name), fresh], { limit: MINUTE })
    if (!unpacked.ok) return unpacked
  }
  rmSync(packages, { recursive: true })
  // At once: a run that was ended in between has left nothing that looks like it.
  return runStep('mv', ['-T', fresh, DIRECTORY], { limit: MINUTE })
}

/** With the lists of packages as they are first: where they are too old, after an update. */
async function fetchPackages(directory) {
  const options = ['-q', '-y', '--no-install-recommends', '--download-only']
  const fetch = () =>
    runStep('apt-get', ['install', ...options, '-o', `Dir::Cache::archives=${directory}`, 'pgbouncer'], {
      limit: 5 * MINUTE,
    })
  const first = await fetch()
  if (first.ok) return first
  const updated = await runStep('apt-get', ['update', '-q'], { limit: 5 * MINUTE })
  return updated.ok ? fetch() : updated
}
