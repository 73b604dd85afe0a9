/**
 * As root the tests run in mount and process namespaces of their own: test users exist only there, and when the run
 * ends, however it ends, no process of it is left.
 */

import { spawnSync, spawn } from 'node:child_process'
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const MARK = 'SLURMGATE_TEST_ENCLOSED'
/** Ordinary users that MUNGE credentials are made by; bob owns tokens too. */
const USERS = [
  ['alice', 6001],
  ['bob', 6002],
]
const NAMESPACES = ['--mount', '--pid', '--fork', '--mount-proc', '--propagation', 'private']

export function isEnclosed() {
  return process.env[MARK] === '1'
}

/** Runs this program again inside. @returns its exit code; null: not root or not possible, run here. */
export async function enclose(parameters) {
  if (process.getuid?.() !== 0) return null
  if (spawnSync('unshare', [...NAMESPACES, 'true']).status !== 0) {
    console.error('npm test: namespaces are not possible here; tests that need users of their own will fail')
    return null
  }
  const directory = mkdtempSync(join(tmpdir(), 'slurmgate-users-'))
  // The whole folder: a file that is mounted alone comes loose when the host replaces its own by renaming.
  const folder = join(directory, 'etc')
  if (spawnSync('cp', ['-a', '/etc', folder]).status !== 0) throw new Error('/etc cannot be copied')
  for (const [name, id] of USERS) {
    appendFileSync(join(folder, 'passwd'), `${name}:x:${id}:${id}::/nonexistent:/usr/sbin/nologin\n`)
    appendFileSync(join(folder, 'group'), `${name}:x:${id}:\n`)
  }
  const script = 'mount --bind "$0" /etc && "$@"'
  const child = spawn(
    'unshare',
    [...NAMESPACES, '--kill-child=SIGKILL', 'sh', '-c', script, folder, process.execPath, ...parameters],
    { stdio: 'inherit', env: { ...process.env, [MARK]: '1' } },
  )
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill('SIGKILL'))
  process.once('exit', () => {
    child.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  })
  return new Promise((resolve) => {
    child.once('error', () => resolve(1))
    child.once('exit', (code) => resolve(code ?? 1))
  })
}
