/**
 * Installs the npm packages and builds, where that is not done yet. Plain JavaScript without packages: it is the first
 * thing that runs in a bare clone.
 */

import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..')
const NODE_MIN = [20, 19]
const TICK_MILLISECONDS = 2_000

/** @throws Error with npm's last words. */
export async function install() {
  requireNode()
  if (!isInstalled()) {
    await runNpm('installing npm packages', [
      'ci',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--loglevel=error',
    ])
  }
  await runNpm('building', ['run', '--silent', 'build'])
}

/** Every package of the lock file stands in node_modules in that version; those for other machines are optional. */
function isInstalled() {
  try {
    const found = readPackages('node_modules/.package-lock.json')
    return Object.entries(readPackages('package-lock.json')).every(
      ([path, { version, optional }]) => path === '' || optional === true || found[path]?.version === version,
    )
  } catch {
    return false
  }
}

/** @param {string} file */
function readPackages(file) {
  return JSON.parse(readFileSync(join(ROOT, file), 'utf8')).packages
}

function requireNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const [minMajor = 0, minMinor = 0] = NODE_MIN
  if (major > minMajor || (major === minMajor && minor >= minMinor)) return
  throw new Error(`Node ${NODE_MIN.join('.')} or newer is needed, this is ${process.versions.node}`)
}

/**
 * @param {string} what
 * @param {string[]} args
 */
function runNpm(what, args) {
  const startedAt = Date.now()
  const seconds = () => Math.round((Date.now() - startedAt) / 1000)
  const ticker = setInterval(() => process.stderr.write(`  ${what} … ${seconds()} s\n`), TICK_MILLISECONDS)
  return new Promise((resolve, reject) => {
    const child = spawn('npm', args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
    let printed = ''
    const keep = (chunk) => (printed = `${printed}${String(chunk)}`.slice(-8_000))
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    child.on('error', reject)
    child.on('close', (code) => {
      clearInterval(ticker)
      if (code === 0) resolve(undefined)
      else reject(new Error(`${what} failed (npm ${args[0] ?? ''}, exit ${String(code)}):\n${printed}`))
    })
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  install().catch((error) => {
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
  })
}
