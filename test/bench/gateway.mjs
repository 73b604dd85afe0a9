/**
 * `npm run bench`: installs what it needs, builds the program that is measured, bundles the bench and runs it; as root in
 * namespaces of its own, like the tests. Rows by name (`-- overhead ping`): those alone, printed and not saved.
 */

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { buildSync } from 'esbuild'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { enclose, isEnclosed } from '../run/enclosure.mjs'
import { installPackages, isOnPath } from '../run/install.mjs'

/** Debian's packages by the program that proves them. */
const PACKAGES = { wrk: 'wrk', nginx: 'nginx-light', taskset: 'util-linux' }

if (!isEnclosed()) {
  await prepare()
  const code = await enclose(process.argv.slice(1))
  if (code === null) {
    console.error('npm run bench: needs root on Debian or Ubuntu, and namespaces')
    process.exit(1)
  }
  process.exit(code)
}

const outfile = fileURLToPath(new URL('../../dist/bench/gate-bench.js', import.meta.url))
buildSync({
  entryPoints: [fileURLToPath(new URL('gate-bench.ts', import.meta.url))],
  outfile,
  bundle: true,
  packages: 'external',
  platform: 'node',
  target: 'node20.19',
  format: 'esm',
  logLevel: 'warning',
})
await import(pathToFileURL(outfile).href)

/** The package starts nginx with the host: it is ended again where it was not there before. */
async function prepare() {
  execFileSync('npm', ['run', '-s', 'build'], { stdio: 'inherit' })
  const { skipped } = await installPackages()
  if (skipped !== undefined) console.error(`npm run bench: ${skipped}`)
  const missing = Object.keys(PACKAGES).filter((program) => !isOnPath(program))
  if (missing.length === 0) return
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) {
    console.error(
      `npm run bench: ${missing.join(', ')} missing, and not root on Debian: install them by hand`,
    )
    process.exit(1)
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const names = missing.map((program) => PACKAGES[program])
  execFileSync('apt-get', ['update', '-q'], { env, stdio: 'inherit' })
  execFileSync('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...names], {
    env,
    stdio: 'inherit',
  })
  if (names.includes('nginx-light') && existsSync('/run/systemd/system')) {
    execFileSync('systemctl', ['disable', '--now', 'nginx.service'], { stdio: 'inherit' })
  }
}
