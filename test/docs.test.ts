/** Holds README.md to the code: what can go stale is compared, not trusted. */

import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { LOOK_UP_MILLISECONDS } from '../functions/cli/service-user.ts'
import { HOST_MAP_MAX_LINES, HOST_MAP_MIN_PREFIX_IPV4, HOST_MAP_MIN_PREFIX_IPV6 } from '../src/limits.ts'
import { parseHostMap } from '../src/munge/host-map.ts'
import { OUTAGES, REFUSALS } from '../src/refusal.ts'

const readme = read('README.md')

function read(path: string): string {
  return readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
}

function section(name: string): string {
  return readme.split(`<!-- ${name}:begin -->`)[1]?.split(`<!-- ${name}:end -->`)[0]?.trim() ?? ''
}

function buildErrorTable(): string {
  const rules = Object.entries({ ...REFUSALS, ...OUTAGES })
  const rows = rules.map(
    ([rule, { status, number, description }]) => `| \`${rule}\` | ${status} | ${number} | ${description} |`,
  )
  return ['| error | status | number | description |', '| --- | --- | --- | --- |', ...rows].join('\n')
}

function readSources(folder: string): string {
  return readdirSync(new URL(`../${folder}`, import.meta.url), { recursive: true })
    .map(String)
    .filter((file) => file.endsWith('.ts') && !file.startsWith('up'))
    .map((file) => read(`${folder}/${file}`))
    .join('\n')
}

test('the error table in README.md is the one in src/refusal.ts', () => {
  expect(section('errors')).toBe(buildErrorTable())
})

test('every variable that the code reads is in the configuration table, and every one in the table is read', () => {
  const pattern =
    /\b(?:DATABASE_URL|SLURMRESTD_URL|SLURM_[A-Z0-9_]+|MUNGE_[A-Z_]+|REPLAY_GUARD|CLIENT_ADDRESS_FROM|TRUSTED_PROXIES|BEARER_USER_NAMES|ADMIN_SCOPES|HOST|PORT|VERIFIER_[A-Z]+|TLS_[A-Z_]+|ALLOW_PLAINTEXT|PUBLIC_BASE_PATH|REQUEST_BODY_MAX_BYTES|UPSTREAM_[A-Z_]+|LOG_LEVEL)\b/g
  const code = [
    ...(readSources('src') + readSources('functions')).matchAll(/['`]([A-Z][A-Z0-9_]+)['`]/g),
  ].map((match) => match[1] ?? '')
  const inCode = new Set(code.filter((name) => name.match(pattern)?.[0] === name))
  const inTable = new Set(
    [...section('configuration').matchAll(/`([A-Z][A-Z0-9_]+)`/g)].map((match) => match[1] ?? ''),
  )
  expect([...inTable].sort()).toEqual([...inCode].sort())
})

test('the time in which the user of a new token is looked up is the one in README.md', () => {
  expect(readme).toContain(`could not be looked up within ${LOOK_UP_MILLISECONDS / 1000} s`)
})

test('the host map in README.md is one that the verifier takes, and means what stands beside it', () => {
  const map = parseHostMap(section('host-map').replaceAll('```', '').trim())
  if ('problems' in map) throw new Error(map.problems.join('; '))
  expect([map.hosts, map.sharedHosts]).toEqual([4, 2])
  for (const client of ['192.168.5.7', '2001:db8::7']) expect(map.has('10.1.0.7', client)).toBe(true)
  expect(map.has('10.1.0.8', '192.168.8.15')).toBe(true)
  expect(map.has('10.1.0.22', '192.0.2.1')).toBe(true)
  expect(readme).toContain(
    `\`/${HOST_MAP_MIN_PREFIX_IPV4}\` or \`/${HOST_MAP_MIN_PREFIX_IPV6}\` at the widest`,
  )
  expect(readme).toContain(`${HOST_MAP_MAX_LINES.toLocaleString('en')} lines at most`)
})

test('every npm script that README.md names exists', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  const named = [...readme.matchAll(/npm (?:run ([a-z:]+)|(test|start))/g)].map(
    (match) => match[1] ?? match[2] ?? '',
  )
  expect(named.filter((name) => !(name in scripts))).toEqual([])
})

test('every relative link in the documents leads to a file', () => {
  for (const document of ['README.md', 'SECURITY.md', 'CHANGELOG.md']) {
    for (const [, target = ''] of read(document).matchAll(/\]\(([A-Z][A-Za-z.]+)\)/g))
      expect(read(target)).not.toBe('')
  }
})

test('wrangler.toml starts functions/worker.ts, under no address of its own: no workers.dev name, no preview URLs', () => {
  const wrangler = read('wrangler.toml')
  expect(wrangler).toContain('main = "functions/worker.ts"')
  expect(wrangler).toContain('workers_dev = false')
  expect(wrangler).toContain('preview_urls = false')
})
