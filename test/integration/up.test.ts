/**
 * `npm run up` as a newcomer runs it, on a host that nobody has touched: own users, own /run, own state. Only the
 * cached Debian root is shared.
 */

import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findFreePort } from '../support/surroundings.ts'

const UP = join(import.meta.dirname, '../../dist/up.js')

/** Private to this script; what the tests themselves stand on stays as it is. */
const UNTOUCHED_HOST = `
set -e
cp -a /etc "$1/etc" && mount --bind "$1/etc" /etc
for folder in /run /home /var/lib/slurmgate; do mkdir -p $folder && mount -t tmpfs tmpfs $folder; done
for user in demo svcapi slurmgate; do userdel $user 2>/dev/null || true; done
rm -rf /etc/munge /etc/slurm
`

interface UpRun {
  readonly output: string
  readonly exitCode: number | null
}

/**
 * @param interruptAt SIGINT is sent when this is printed.
 * @param namespaces beside the mount namespace.
 */
async function runUp(
  prelude: string,
  environment: NodeJS.ProcessEnv,
  interruptAt?: string,
  namespaces: readonly string[] = [],
): Promise<UpRun> {
  const script = `${UNTOUCHED_HOST}${prelude}\nexec "${process.execPath}" "${UP}"`
  const folder = mkdtempSync(join(tmpdir(), 'slurmgate-up-'))
  const child = spawn(
    'unshare',
    [...namespaces, '--mount', '--propagation', 'private', 'bash', '-c', script, 'up', folder],
    {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  let output = ''
  let isInterrupted = false
  const keep = (chunk: Buffer): void => {
    output += chunk.toString('utf8')
    if (isInterrupted || interruptAt === undefined || !output.includes(interruptAt)) return
    isInterrupted = true
    child.kill('SIGINT')
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const exitCode = await new Promise<number | null>((resolve) => child.once('close', resolve))
  rmSync(folder, { recursive: true, force: true })
  return { output, exitCode }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port }, () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => {
      resolve(false)
    })
  })
}

async function choosePorts(): Promise<{ PORT: string; VERIFIER_PORT: string }> {
  return { PORT: String(await findFreePort()), VERIFIER_PORT: String(await findFreePort()) }
}

test('a munge.key and a slurm.conf that it did not make are both named, and nothing is started', async () => {
  const prelude = 'mkdir -p /etc/munge /etc/slurm; touch /etc/munge/munge.key /etc/slurm/slurm.conf'
  const { output, exitCode } = await runUp(prelude, await choosePorts())
  expect([exitCode, output]).toEqual([2, expect.stringContaining('/etc/munge/munge.key')])
  expect(output).toContain('/etc/slurm/slurm.conf')
  expect(output).toContain('--use-munged')
})

test('the published examples answer, the job ends COMPLETED, root is told why not, Ctrl-C leaves nothing', async () => {
  const ports = await choosePorts()
  const { output, exitCode } = await runUp('', ports, 'Ctrl-C')
  expect(output.match(/< HTTP \d+/g)).toEqual(
    ['200', '200', '401', '200', '200'].map((status) => `< HTTP ${status}`),
  )
  expect(output).toContain('munge_uid_too_low')
  expect(output).toContain("su - demo -c 'curl http://127.0.0.1:")
  expect(output).toMatch(/\d+ s: COMPLETED/)
  expect(output).toContain('It leaves behind')
  expect(exitCode).toBe(0)
  expect(await isListening(Number(ports.PORT))).toBe(false)
  expect(await isListening(Number(ports.VERIFIER_PORT))).toBe(false)
})

test('it works on a host whose name resolves to 127.0.1.1, as Debian sets it up', async () => {
  const prelude = 'echo "127.0.0.1 localhost" > /etc/hosts; echo "127.0.1.1 $(hostname)" >> /etc/hosts'
  const { output, exitCode } = await runUp(prelude, await choosePorts(), '10. Example')
  expect(output.match(/< HTTP \d+/g)?.slice(0, 3)).toEqual(['< HTTP 200', '< HTTP 200', '< HTTP 401'])
  expect(exitCode).toBe(130)
})

test.skipIf(!existsSync('/usr/sbin/ip'))('it works on a host with a LAN address', async () => {
  const prelude = `
ip link set lo up
ip link add lan0 type veth peer name lan1
ip addr add 192.0.2.20/24 dev lan0
ip link set lan0 up && ip link set lan1 up
echo "127.0.0.1 localhost" > /etc/hosts; echo "192.0.2.20 $(hostname)" >> /etc/hosts
`
  const ports = { PORT: '18080', VERIFIER_PORT: '18081' }
  const { output, exitCode } = await runUp(prelude, ports, '10. Example', ['--net'])
  expect(output.match(/< HTTP \d+/g)?.slice(0, 3)).toEqual(['< HTTP 200', '< HTTP 200', '< HTTP 401'])
  expect(exitCode).toBe(130)
})
