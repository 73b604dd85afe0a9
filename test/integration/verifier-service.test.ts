/**
 * The verifier under a real systemd, as its unit file says: what the sandbox takes away is gone, what is left is enough.
 * Source: SECURITY.md "The sandbox of the verifier's service", systemd.exec(5).
 */

import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ensureBaseRoot, type Suite } from '../../functions/up/base-root.ts'
import { sleep, waitUntil } from '../support/program.ts'
import { findSystemdObstacle } from '../support/systemd-host.ts'
import {
  ALICE_UID,
  SERVICE,
  SERVICE_FILE,
  SERVICE_USER,
  SETTINGS_FILE,
  startServiceHost,
  type ServiceHost,
} from './service-host.ts'

const CACHE = process.env['SLURMGATE_CACHE'] ?? '/var/cache/slurmgate'
/** Two releases of systemd. The second's packages change from day to day: where they do not install, that is said. */
const RELEASES: readonly { readonly suite: Suite; readonly mayBeMissing: boolean }[] = [
  { suite: 'trixie', mayBeMissing: false },
  { suite: 'forky', mayBeMissing: true },
]

const MUNGED_SOCKET = '/run/munge/munge.socket.2'
/** nslcd(8), which a test stands in for. */
const NAMES_SOCKET = '/run/nslcd/socket'
/** In tenths, see systemd-analyze(1). What is left is mostly the network. */
const EXPOSURE_MAX = '15'
/** `RestartSec=` and a start. */
const NEXT_START_MILLISECONDS = 4_000

const obstacle = findSystemdObstacle()
const notTried = obstacle === null ? '' : ` (NOT TRIED: ${obstacle})`

for (const { suite, mayBeMissing } of RELEASES) {
  describe.skipIf(obstacle !== null)(`the verifier's service on Debian ${suite}${notTried}`, () => {
    let started: ServiceHost | null = null
    let missing: string | null = null

    beforeAll(async () => {
      const root = await ensureBaseRoot({ suite, cacheDir: CACHE }).catch((cause: unknown) => {
        if (!mayBeMissing) throw cause
        missing = `NOT TRIED, its packages do not install today: ${String(cause)}`
        return null
      })
      if (root !== null) started = await startServiceHost(root)
    })
    afterAll(() => started?.stop())
    beforeEach(async (context) => {
      if (missing !== null) context.skip(missing)
      // Nothing of an earlier test counts: not what became of the service, nor its starts towards their limit.
      await requireHost().run('systemctl', 'reset-failed', 'munge', SERVICE)
      await systemctl('restart', 'munge', SERVICE)
      await requireService().waitUntilItVerifies()
    })

    function requireService(): ServiceHost {
      if (started === null) throw new Error('the service did not start')
      return started
    }
    const requireHost = (): ServiceHost['host'] => requireService().host
    const show = (property: string, unit?: string): Promise<string> => requireService().show(property, unit)
    const systemctl = (...words: readonly string[]): Promise<string> =>
      requireHost().run('systemctl', ...words)

    test('systemd understands the unit file whole, and rates the service as little exposed', async () => {
      expect(await requireHost().try('systemd-analyze', 'verify', SERVICE_FILE)).toBe('')
      const rating = ['security', '--offline=true', `--threshold=${EXPOSURE_MAX}`, SERVICE_FILE]
      expect(await requireHost().run('systemd-analyze', ...rating)).toMatch(
        /Overall exposure level .*: 1\.\d OK/,
      )
    })

    test('it runs as its own user, who has no login, without a capability and without a way to one', async () => {
      const uid = (await requireHost().run('id', '--user', SERVICE_USER)).trim()
      const text = await requireHost().run('cat', `/proc/${await show('MainPID')}/status`)
      const status = new Map(text.split('\n').map((line) => line.split(/:\s*/) as [string, string]))
      expect(status.get('Uid')?.split('\t')).toEqual([uid, uid, uid, uid])
      expect(Number(uid)).toBeLessThan(1000)
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
        expect(status.get(set)).toBe('0'.repeat(16))
      }
      expect([status.get('NoNewPrivs'), status.get('Seccomp')]).toEqual(['1', '2'])
      const limits = await requireHost().run('cat', `/proc/${await show('MainPID')}/limits`)
      expect(limits).toMatch(/^Max core file size +0 +0 /m)
      expect(await requireHost().run('getent', 'passwd', SERVICE_USER)).toMatch(/nologin\n$/)
    })

    test('a credential is verified, with the name that NSS has; root is refused', async () => {
      const verify = (uid: number): ReturnType<ServiceHost['verify']> => requireService().verify(uid)
      expect(await verify(ALICE_UID)).toMatchObject({ user: 'alice', uid: ALICE_UID, boundDigest: null })
      expect(await verify(0)).toMatchObject({ kind: 'refusal', rule: 'munge_uid_too_low' })
    })

    test('its key stands in no process list, and in nothing that systemd tells', async () => {
      const settings = readFileSync(requireHost().path(SETTINGS_FILE), 'utf8')
      const key = /^MUNGE_VERIFIER_KEY=(.{44})$/m.exec(settings)?.[1] ?? ''
      expect(key).not.toBe('')
      const told = [
        await requireHost().run('sh', '-c', 'cat /proc/[0-9]*/cmdline | tr "\\0" " "'),
        await systemctl('show', SERVICE),
        await requireService().readJournal(),
      ].join('\n')
      expect(told).toContain('dist/cli.js verifier')
      expect(told).not.toContain(key)
      expect(await requireHost().run('stat', '--format=%a %U', SETTINGS_FILE)).toBe('600 root\n')
    })

    test('in its place nothing can be written, no secret read, of /run only munged and nslcd reached', async () => {
      await requireHost().run('mkdir', '-p', '/run/nslcd')
      await requireHost().run(
        'systemd-run',
        '--quiet',
        `--socket-property=ListenStream=${NAMES_SOCKET}`,
        'true',
      )
      const sockets = (await requireHost().run('find', '/run', '-type', 's')).trim().split('\n')
      const files = [
        '/etc/munge/munge.key',
        '/etc/munge',
        '/etc/shadow',
        '/root',
        '/home',
        SETTINGS_FILE,
        '/etc/passwd',
      ]
      const inside = await requireService().probeInside({ files, sockets })
      expect({ ...inside, reachable: [...inside.reachable].sort() }).toEqual({
        readable: ['/etc/passwd'],
        reachable: [MUNGED_SOCKET, NAMES_SOCKET],
        writable: [],
        // systemd before 262 has an empty folder of its own there.
        runFolder: ['munge', 'nslcd', ...inside.runFolder.filter((name) => name === 'systemd')],
        otherProcesses: 0,
        hasNetlink: false,
        hasNewNamespaces: false,
      })
      const outside = await requireService().probeOutside({ files, sockets })
      expect(outside.readable).toEqual(['/home', '/etc/passwd'])
      expect(outside.writable).toEqual(expect.arrayContaining(['/tmp', '/var/tmp', '/dev/shm']))
      expect(outside.reachable).toEqual(
        expect.arrayContaining([MUNGED_SOCKET, '/run/systemd/journal/stdout']),
      )
      expect(outside).toMatchObject({ hasNetlink: true, hasNewNamespaces: true })
      expect(outside.otherProcesses).toBeGreaterThan(3)
    })

    test.each<[how: string, script: string]>([
      ['restarted', 'systemctl restart munge'],
      [
        'stopped and started later',
        `systemctl stop munge; ! systemctl is-active ${SERVICE}; systemctl start munge`,
      ],
      ['killed', 'kill -9 $(systemctl show --property=MainPID --value munge)'],
    ])('it is back by itself after munged was %s', async (_how, script) => {
      const before = await show('MainPID', 'munge')
      await requireHost().run('sh', '-euc', script)
      await waitUntil('munged is another one', async () => {
        const now = await show('MainPID', 'munge')
        return now !== '0' && now !== before
      })
      await requireService().waitUntilItVerifies()
    })

    test('it is back by itself after it was killed', async () => {
      const restarts = Number(await show('NRestarts'))
      await systemctl('kill', '--signal=KILL', SERVICE)
      await waitUntil('it was started again', async () => Number(await show('NRestarts')) > restarts)
      await requireService().waitUntilItVerifies()
    })

    test('bad settings end it with exit code 2, named in the journal, and it is not started again', async () => {
      const settings = readFileSync(requireHost().path(SETTINGS_FILE), 'utf8')
      requireHost().write(SETTINGS_FILE, `${settings}MUNGE_MAX_TTL_SECONDS=300\n`, 0o600)
      await systemctl('restart', SERVICE)
      await waitUntil('it has failed', async () => (await show('ActiveState')) === 'failed')
      await sleep(NEXT_START_MILLISECONDS)
      const properties = ['ActiveState', 'Result', 'ExecMainStatus', 'NRestarts']
      const found = await Promise.all(properties.map((property) => show(property)))
      expect(found).toEqual(['failed', 'exit-code', '2', '0'])
      expect(await requireService().readJournal()).toMatch(/^slurmgate verifier: MUNGE_MAX_TTL_SECONDS/m)
      requireHost().write(SETTINGS_FILE, settings, 0o600)
      await systemctl('start', SERVICE)
    })

    test('MemoryDenyWriteExecute= cannot be on: Node does not start with it', async () => {
      await requireService().withDropIn('MemoryDenyWriteExecute=yes', async () => {
        await requireHost().try('systemctl', 'restart', SERVICE)
        await waitUntil('it has ended', async () => (await show('ActiveState')) !== 'active')
        expect(await requireService().readJournal()).not.toContain('verifier_started')
      })
    })

    test('stopping it lets it end by itself', async () => {
      await systemctl('stop', SERVICE)
      const saysItsEnd = async (): Promise<boolean> =>
        (await requireService().readJournal()).includes('"verifier_stopping","signal":"SIGTERM"')
      await waitUntil('the end is in the journal', saysItsEnd)
      expect([await show('Result'), await show('ExecMainStatus')]).toEqual(['success', '0'])
      await systemctl('start', SERVICE)
    })
  })
}
