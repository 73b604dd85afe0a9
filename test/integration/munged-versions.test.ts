/**
 * The contract of munged's socket against each release that Debian ships beside a Slurm the gate is tested with. The
 * daemons come from the clusters' cached roots, and run under those roots' own loader and libraries.
 */

import { readdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ensureBaseRoot, type Suite } from '../../functions/up/base-root.ts'
import { testMungedContract } from '../munge/munged-contract.ts'
import { buildMungeKey, MungeDaemon } from '../support/munge-daemon.ts'
import { runProgram } from '../support/program.ts'

const CACHE = process.env['SLURMGATE_CACHE'] ?? '/var/cache/slurmgate'
const ORIGIN = '192.0.2.9'

interface Release {
  readonly suite: Suite
  readonly version: string
  /** Its packages change from day to day: where they do not install, that is said, and the run goes on. */
  readonly mayBeMissing: boolean
}

const RELEASES: readonly Release[] = [
  { suite: 'bookworm', version: '0.5.15', mayBeMissing: false },
  { suite: 'trixie', version: '0.5.16', mayBeMissing: false },
  { suite: 'forky', version: '0.5.', mayBeMissing: true },
]

const roots = new Map<Suite, string | Error>()

beforeAll(async () => {
  await Promise.all(
    RELEASES.map(async ({ suite }) => {
      const onProgress = (line: string): void => void process.stderr.write(`  ${suite}: ${line}\n`)
      const root = await ensureBaseRoot({ suite, cacheDir: CACHE, onProgress }).catch((cause: unknown) =>
        cause instanceof Error ? cause : new Error(String(cause)),
      )
      roots.set(suite, root)
    }),
  )
})

for (const { suite, version, mayBeMissing } of RELEASES) {
  describe(`munged of Debian ${suite}`, () => {
    const directory = mkdtempSync(join(tmpdir(), `munged-${suite}-`))
    let daemon: MungeDaemon | null = null

    let obstacle: string | null = null

    beforeAll(async () => {
      const root = roots.get(suite)
      if (typeof root === 'string') {
        const command = findProgram(root, 'usr/sbin/munged')
        daemon = await MungeDaemon.start({ directory, originAddress: ORIGIN, key: buildMungeKey(), command })
        return
      }
      if (!mayBeMissing) throw root ?? new Error(`no root of ${suite}`)
      obstacle = `NOT TRIED, its packages do not install today: ${root?.message ?? ''}`
    })
    beforeEach((context) => {
      if (obstacle !== null) context.skip(obstacle)
    })
    afterAll(async () => {
      await daemon?.stop()
      rmSync(directory, { recursive: true, force: true })
    })

    function requireDaemon(): MungeDaemon {
      if (daemon === null) throw new Error('munged did not start')
      return daemon
    }

    test(`is ${version}`, async () => {
      const [program, ...parameters] = findProgram(String(roots.get(suite)), 'usr/sbin/munged')
      expect(await runProgram(program, [...parameters, '--version'])).toContain(`munge-${version}`)
    })

    testMungedContract({
      socketPath: () => requireDaemon().socketPath,
      originAddress: ORIGIN,
      start: () => requireDaemon().start(),
      stop: () => requireDaemon().stop(),
    })
  })
}

/** The root's own loader runs it: nothing of the host's libraries is mixed in, and no chroot is needed. */
function findProgram(root: string, path: string): readonly [string, ...string[]] {
  for (const triplet of readdirSync(join(root, 'usr/lib'))) {
    const folder = join(root, 'usr/lib', triplet)
    const loader = triplet.includes('-linux-')
      ? readdirSync(folder).find((name) => /^ld-linux-.*\.so\.\d+$/.test(name))
      : undefined
    if (loader !== undefined) return [join(folder, loader), '--library-path', folder, join(root, path)]
  }
  throw new Error(`no loader in ${root}`)
}
