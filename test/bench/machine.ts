/** The machine in a few lines: figures without it say nothing. */

import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { formatTable } from './findings.ts'

export type Described = readonly (readonly [what: string, value: string])[]

/** Before anything is started: the load is that of others. */
export function describeMachine(): Described {
  const [cpu] = cpus()
  return [
    ['processor', `${cpu?.model ?? 'unknown'}, ${String(cpus().length)} cores`],
    ['memory', `${(totalmem() / 2 ** 30).toFixed(0)} GiB`],
    ['system', `${readSystemName()}, Linux ${release()}`],
    [
      'load before (1, 5, 15 min)',
      loadavg()
        .map((load) => load.toFixed(2))
        .join(', '),
    ],
    ['Node', process.version],
    ['nginx', readVersion('nginx', ['-v'])],
    ['wrk', readVersion('wrk', ['-v'])],
    ['munge', readVersion('munged', ['--version'])],
    ['slurmgate', readCommit()],
  ]
}

export function formatMachine(described: Described): string {
  return formatTable(['', ''], described)
}

function readSystemName(): string {
  return /^PRETTY_NAME="(.*)"$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown'
}

function readVersion(program: string, parameters: readonly string[]): string {
  const { stdout, stderr } = spawnSync(program, parameters, { encoding: 'utf8' })
  return /\d+(\.\d+)+/.exec(`${stdout}${stderr}`)?.[0] ?? 'unknown'
}

function readCommit(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim()
  } catch {
    return 'not from a clone'
  }
}
