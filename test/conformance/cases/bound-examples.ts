/** The commands of README "Bound to its request", run by a shell as an ordinary user, as they stand there. */

import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { asUser } from '../../support/munge-daemon.ts'
import { Program } from '../../support/program.ts'
import { buildStandaloneCli } from '../../support/standalone-cli.ts'
import { HOME_ADDRESS } from '../../support/surroundings.ts'
import type { Bench } from '../bench.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectNothingForwarded, readSent } from '../expect-answer.ts'

/** Bytes that a text mode of any tool would change: no line end at the end, a carriage return, UTF-8. */
const JOB = '{"job":{"script":"#!/bin/sh\\nhostname",\r\n"name":"größe"}}'

function readExample(name: string): string {
  const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8')
  const section = readme.split(`<!-- ${name}:begin -->`)[1]?.split(`<!-- ${name}:end -->`)[0] ?? ''
  return /```\n([^]*)```/.exec(section)?.[1] ?? ''
}

/** With this gateway's address, this munged and the built program in the places of the published ones. */
async function runExample(bench: Bench, example: string): Promise<Program> {
  const directory = mkdtempSync(join(tmpdir(), 'bound-example-'))
  chmodSync(directory, 0o755)
  try {
    writeFileSync(join(directory, 'job.json'), JOB)
    const command = await fillExample(bench, example, directory)
    const [program = '', ...rest] = asUser(bench.world.users.ordinary.uid, ['bash', '--norc', '-c', command])
    const shell = new Program(program, rest)
    await shell.exit
    return shell
  } finally {
    rmSync(directory, { recursive: true })
  }
}

async function fillExample(bench: Bench, example: string, directory: string): Promise<string> {
  const { socketPath } = bench.world.munge
  const [header, address] = bench.target.clientHeader(HOME_ADDRESS)
  const program = example.includes('slurmgate ') ? await buildStandaloneCli(directory) : ''
  const filled = example
    .replaceAll('https://HOST', `http://${bench.target.host}:${String(bench.target.port)}`)
    .replaceAll(
      'slurmgate munge-header',
      `MUNGE_SOCKET=${socketPath} ${process.execPath} ${program} munge-header`,
    )
    .replaceAll('munge -t', `munge --socket=${socketPath} -t`)
    .replaceAll('curl -H', `curl -s -w '\\n%{http_code}' -H '${header}: ${address}' -H`)
  return `cd ${directory}\n${filled}`
}

const readStatus = (shell: Program): string => shell.stdout.slice(shell.stdout.lastIndexOf('\n') + 1)

const EXAMPLES = [
  ['slurmgate munge-header', 'bound'],
  ['munge and openssl', 'bound-by-hand'],
] as const

export const BOUND_EXAMPLE_CASES: readonly ConformanceCase[] = EXAMPLES.flatMap(([tool, section]) => [
  {
    name: `the published submit with ${tool} is taken, byte for byte, as its user`,
    source: `README, ${section}`,
    async run(bench) {
      const example = readExample(section)
      expect(example).toContain('--data-binary @job.json')
      const shell = await runExample(bench, example)
      expect(readStatus(shell), shell.lines.join('\n')).toBe('200')
      const [request, ...others] = bench.world.upstream.operations
      expect(others).toEqual([])
      expect(request?.body.toString('utf8')).toBe(JOB)
      expect(request === undefined ? null : readSent(request, 'x-slurm-user-name')).toBe(bench.userName)
    },
  },
  {
    name: `the published submit with ${tool} is refused for another file than the one that was bound`,
    source: `README, ${section}`,
    async run(bench) {
      const other = readExample(section).replace('--data-binary @job.json', '--data-binary "{}"')
      const shell = await runExample(bench, other)
      expect(readStatus(shell), shell.lines.join('\n')).toBe('401')
      expect(shell.stdout).toContain('munge_request_mismatch')
      expectNothingForwarded(bench)
    },
  },
])
