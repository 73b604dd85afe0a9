/** Holds README.md to the code: what can go stale is compared, not trusted. */

import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { STOP_MILLISECONDS } from '../functions/verifier.ts'
import { USAGE } from '../functions/cli/usage.ts'
import { GATEWAY_SERVER_LIMITS, VERIFIER_SERVER_LIMITS } from '../functions/node/server-limits.ts'
import {
  JOB_LIST_MAX,
  KEY_AGE_MAX_DAYS,
  ANSWER_TIME_LIMITS,
  RATE_BURST_SECONDS,
  RATED_CALLERS_MAX,
  SPARED_LINES_PER_SECOND,
} from '../src/limits.ts'
import { QUESTION_MAX_BYTES } from '../src/munge/answer-question.ts'
import { parseVerifierSettings } from '../src/munge/verifier-settings.ts'
import { OWN_ROUTES } from '../src/own-path.ts'
import { ADMIN_SCOPES, PUBLIC_SCOPES } from '../src/principal.ts'
import { LOOK_UP_MILLISECONDS } from '../functions/cli/service-user.ts'
import { HOST_MAP_MAX_LINES, HOST_MAP_MIN_PREFIX_IPV4, HOST_MAP_MIN_PREFIX_IPV6 } from '../src/limits.ts'
import { parseHostMap } from '../src/munge/host-map.ts'
import { OUTAGES } from '../src/outages.ts'
import { REFUSALS } from '../src/refusal.ts'
import type { SignerSettings } from '../src/signer/signer-settings.ts'
import { parseGatewaySettings, type GatewaySettings, type RuntimeName } from '../src/settings.ts'
import {
  DEFAULT_ROLE_PREFIX,
  GATEWAY_RIGHTS,
  ISSUER_RIGHTS,
  nameRoles,
  type TableRight,
  TABLES,
} from '../src/tokens/database-roles.ts'
import { SERVICE_USER_WARNING_CODES } from '../src/tokens/service-user.ts'

const readme = read('README.md')

function read(path: string): string {
  return readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
}

function section(name: string): string {
  return readme.split(`<!-- ${name}:begin -->`)[1]?.split(`<!-- ${name}:end -->`)[0]?.trim() ?? ''
}

/** The cells of a section's table, without its head. */
function readTable(name: string): readonly (readonly string[])[] {
  const [, , ...rows] = section(name).split('\n')
  return rows.map((row) =>
    row
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  )
}

function readNames(cell = ''): readonly string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)
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

test('the error table in README.md is the one in the code', () => {
  expect(section('errors')).toBe(buildErrorTable())
})

test('every variable that the code reads is in the configuration table, and every one in the table is read', () => {
  const pattern =
    /\b(?:DATABASE_URL|HYPERDRIVE|SLURMRESTD_[A-Z_]+|SLURM_[A-Z0-9_]+|MUNGE_[A-Z_]+|REPLAY_GUARD|CLIENT_ADDRESS_FROM|TRUSTED_PROXIES|BEARER_USER_NAMES|ADMIN_SCOPES|HOST|PORT|VERIFIER_[A-Z_]+|TLS_[A-Z_]+|ALLOW_PLAINTEXT|PUBLIC_BASE_PATH|REQUEST_BODY_MAX_BYTES|RATE_LIMIT_PER_SECOND|UPSTREAM_[A-Z_]+|CACHE_[A-Z_]+|CLIENT_STALL_SECONDS|LOG_LEVEL|TOKENS?_[A-Z_]+|SIGNER_[A-Z_]+)\b/g
  const code = [
    ...(readSources('src') + readSources('functions')).matchAll(/['`]([A-Z][A-Z0-9_]+)['`]/g),
  ].map((match) => match[1] ?? '')
  const inCode = new Set(code.filter((name) => name.match(pattern)?.[0] === name))
  const inTable = new Set(
    [...section('configuration').matchAll(/`([A-Z][A-Z0-9_]+)`/g)].map((match) => match[1] ?? ''),
  )
  expect([...inTable].sort()).toEqual([...inCode].sort())
})

const MINIMAL = {
  DATABASE_URL: 'postgres://gate@127.0.0.1/gate',
  SLURMRESTD_URL: 'http://127.0.0.1:6820',
  SLURM_JWT_HS256_KEY: Buffer.alloc(32, 1).toString('base64'),
  MUNGE_VERIFIER_KEY: Buffer.alloc(32, 1).toString('base64'),
}

function readGateway(runtime: RuntimeName, more: Readonly<Record<string, string>> = {}): GatewaySettings {
  const settings = parseGatewaySettings({ env: { ...MINIMAL, ...more }, runtime, readKeyFile: null })
  if ('problems' in settings) throw new Error(settings.problems.join())
  return settings
}

/** A signer with nothing but what it needs. */
function readSigner(): SignerSettings {
  const files: Readonly<Record<string, string>> = {
    '/rows': Buffer.alloc(32, 3).toString('base64'),
    '/jwk': JSON.stringify({ kty: 'EC', crv: 'P-256', x: 'eA', y: 'eQ', d: 'eA', kid: 'k1' }),
  }
  const env = {
    ...MINIMAL,
    VERIFIER_SIGNS: 'yes',
    SIGNER_PRIVATE_KEY_FILE: '/jwk',
    TOKEN_KEY_FILE: '/rows',
  }
  const settings = parseVerifierSettings(env, (path) => new TextEncoder().encode(files[path] ?? ''))
  if ('problems' in settings || settings.signer === null) throw new Error('no signer')
  return settings.signer
}

/** What the code has where nothing is set, written as the table writes it. */
function buildDefaults(): Readonly<Record<string, string>> {
  const [node, worker] = [
    readGateway('node'),
    readGateway('workerd', { SLURM_KEY_AT_EDGE: 'accept-cluster-root' }),
  ]
  const remote = readGateway('node', { MUNGE_VERIFIER_URL: 'https://verifier.example' })
  const verifier = parseVerifierSettings(MINIMAL)
  const { listener } = node
  if ('problems' in verifier || listener === null || 'unixPath' in listener) throw new Error('no listener')
  const { policy } = verifier
  const none = (list: readonly unknown[]): string => (list.length === 0 ? 'none' : 'some')
  const signer = readSigner()
  return {
    SLURM_TOKEN_SIGNER: `\`${node.signing.signer}\``,
    SIGNER_RATE_LIMIT_PER_SECOND: String(signer.requestsPerSecond),
    VERIFIER_SIGNS: verifier.signer === null ? '`no`' : '`yes`',
    SLURM_JWT_LIFESPAN_SECONDS:
      node.signing.signer === 'gateway' ? String(node.signing.lifespanSeconds) : 'none',
    SLURM_DENIED_USERS: `\`${[...node.deniedUsers].join(',')}\``,
    SLURM_API_VERSIONS: `\`${String(node.versions)}\``,
    MUNGE_MODE: `\`${remote.munge.mode}\` if the URL is set, else \`${node.munge.mode}\` on Node, \`${worker.munge.mode}\` on Workers`,
    MUNGE_SOCKET: `\`${policy.socketPath}\``,
    MUNGE_MAX_TTL_SECONDS: String(policy.maxTtlSeconds),
    MUNGE_MIN_UID: String(policy.minUid),
    MUNGE_REQUIRE_BINDING: node.areWritesBound ? '`writes`' : '`off`',
    MUNGE_HOST_BINDING: `\`${policy.hostBinding}\``,
    REPLAY_GUARD: `\`${node.replayGuard}\``,
    CLIENT_ADDRESS_FROM: `\`${node.clientAddress.source}\` on Node, \`${worker.clientAddress.source}\` on Workers`,
    TRUSTED_PROXIES: none(node.clientAddress.trustedProxies),
    BEARER_USER_NAMES: `\`${[...node.bearerUserNames].join(',')}\``,
    ADMIN_SCOPES: node.areAdminScopesOn ? '`on`' : '`off`',
    'HOST PORT': `${listener.host}, ${listener.port}`,
    'VERIFIER_HOST VERIFIER_PORT': `${verifier.listener.host}, ${verifier.listener.port}`,
    VERIFIER_RATE_LIMIT_PER_SECOND: String(verifier.questionsPerSecond),
    PUBLIC_BASE_PATH: `\`${node.basePath}\``,
    REQUEST_BODY_MAX_BYTES: String(node.bodyMaxBytes),
    RATE_LIMIT_PER_SECOND: String(node.rateLimitPerSecond),
    'UPSTREAM_TIMEOUT_SECONDS UPSTREAM_MAX_CONCURRENCY': `${node.upstreamTimeoutMilliseconds / 1000}, ${node.slotLimits.all}`,
    'UPSTREAM_MAX_CONCURRENCY_PER_CALLER UPSTREAM_MAX_CONCURRENCY_SLURMDB': `${node.slotLimits.perCaller}, ${node.slotLimits.accounting}`,
    CLIENT_STALL_SECONDS: String(node.clientStallMilliseconds / 1000),
    CACHE_TTL_SECONDS: `\`${Object.entries(node.cache.ttlSeconds)
      .map(([kind, seconds]) => `${kind}=${seconds}`)
      .join(',')}\``,
    CACHE_STALE_SECONDS: String(node.cache.staleSeconds),
    'CACHE_MAX_BYTES CACHE_ENTRY_MAX_BYTES': `${node.cache.maxBytes}, ${node.cache.entryMaxBytes} (on Workers ${worker.cache.maxBytes}, ${worker.cache.entryMaxBytes})`,
    LOG_LEVEL: `\`${node.logLevel}\``,
  }
}

/** Rows without a default: what is missing is reported, or there is nothing. */
const WITHOUT_DEFAULT: Readonly<Record<string, string>> = {
  DATABASE_URL: 'required',
  SIGNER_PUBLIC_KEY: 'required with the signer',
  SIGNER_PRIVATE_KEY_FILE: 'required with `VERIFIER_SIGNS`',
  SLURM_KEY_AT_EDGE: '–',
  SLURMRESTD_URL: 'required',
  'SLURMRESTD_ACCESS_CLIENT_ID SLURMRESTD_ACCESS_CLIENT_SECRET MUNGE_VERIFIER_ACCESS_CLIENT_ID MUNGE_VERIFIER_ACCESS_CLIENT_SECRET':
    '–',
  'SLURMRESTD_MTLS MUNGE_VERIFIER_MTLS': '–',
  HYPERDRIVE: '–',
  'SLURM_JWT_HS256_KEY_FILE SLURM_JWT_HS256_KEY SLURM_JWT_RS256_JWK_FILE SLURM_JWT_RS256_JWK': 'exactly one',
  MUNGE_VERIFIER_URL: '–',
  MUNGE_VERIFIER_KEY: 'required with the URL',
  MUNGE_HOST_MAP_FILE: 'required with `map`',
  'TLS_CERT_FILE TLS_KEY_FILE': '–',
  TOKEN_KEY_FILE: '–',
  TOKENS_NOT_BEFORE: '–',
  ALLOW_PLAINTEXT: '`no`',
}

test('the defaults in the configuration table are what the code has where nothing is set', () => {
  const inTable = Object.fromEntries(
    readTable('configuration').map(([names, , value = '']) => [readNames(names).join(' '), value]),
  )
  expect(inTable).toEqual({ ...buildDefaults(), ...WITHOUT_DEFAULT })
})

test('what the configuration table calls required is missed by name', () => {
  const env = { MUNGE_VERIFIER_URL: 'https://verifier.example', MUNGE_HOST_BINDING: 'map' }
  const found = [
    parseGatewaySettings({ env, runtime: 'node', readKeyFile: null }),
    parseGatewaySettings({
      env: { ...env, SLURM_TOKEN_SIGNER: 'verifier' },
      runtime: 'node',
      readKeyFile: null,
    }),
    parseVerifierSettings({ ...env, VERIFIER_SIGNS: 'yes' }),
  ]
  const problems = found.flatMap((each) => ('problems' in each ? each.problems : [])).join('\n')
  for (const [names, , value = ''] of readTable('configuration')) {
    if (!/^(required|exactly one)/.test(value)) continue
    expect(problems).toMatch(new RegExp(`${readNames(names).join(', ')} is required`))
  }
})

test('the path table has the gate’s own paths, and what each needs', () => {
  const inTable = readTable('paths').flatMap(([paths, needs]) =>
    readNames(paths)
      .filter((path) => !path.includes('{version}'))
      .map((path) => `${path.startsWith('/') ? 'GET ' : ''}${path}: ${needs ?? ''}`),
  )
  const inCode = OWN_ROUTES.map(
    ({ method, path, access }) => `${method} /${path}: ${access === 'public' ? 'nothing' : 'any credential'}`,
  )
  expect(inTable.sort()).toEqual(inCode.sort())
})

test('the scope table has the scopes, the administrative ones in one row that says so', () => {
  const rows = readTable('scopes')
  expect(rows.slice(0, -1).flatMap(([scope]) => readNames(scope))).toEqual([...PUBLIC_SCOPES])
  expect(readNames(rows.at(-1)?.[0])).toEqual([...ADMIN_SCOPES])
  expect(rows.at(-1)?.[1]).toContain('ADMIN_SCOPES=on')
})

test('the table of warnings has every code', () => {
  const inTable = readTable('warnings').flatMap(([codes]) => readNames(codes))
  expect(inTable).toEqual([...SERVICE_USER_WARNING_CODES])
})

test('the longest list of jobs is the one of the code', () => {
  expect(readme).toContain(`\`{"jobs": ["123", "124"]}\`, ${JOB_LIST_MAX} at most`)
})

test('the commands in README.md are those of slurmgate --help, with their exit codes', () => {
  const [, commands = ''] = /\nusage:\n((?: {2}.*\n)+)/.exec(USAGE) ?? []
  const [exitCodes = ''] = /^Exit codes: .*$/m.exec(USAGE) ?? []
  const block = `${commands.replaceAll(/^ {2}/gm, '')}\n${exitCodes}`
  expect(section('cli')).toBe(`\`\`\`\n${block}\n\`\`\``)
})

test('the table of database rights is the one that db grants gives', () => {
  const roles = nameRoles(DEFAULT_ROLE_PREFIX)
  const inCode = [
    ...listTableRights(roles?.gateway, GATEWAY_RIGHTS),
    ...listTableRights(roles?.issuer, ISSUER_RIGHTS),
  ]
  const rows = readTable('rights')
  expect(rows.slice(0, -1)).toEqual(inCode)
  expect(readNames(rows.at(-1)?.[0])).toEqual([roles?.migrator])
})

function listTableRights(role: string | undefined, rights: readonly TableRight[]): readonly string[][] {
  return TABLES.flatMap((table) => {
    const texts = rights
      .filter((right) => right.table === table)
      .map(({ privilege, columns }) => privilege + (columns === null ? '' : ` (${columns.join(', ')})`))
    return texts.length === 0 ? [] : [[`\`${String(role)}\``, `\`${table}\``, texts.join(', ')]]
  })
}

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

test('the bounds in SECURITY.md are those of the code', () => {
  const text = read('SECURITY.md').replaceAll(/\s+/g, ' ')
  const [gateway, verifier] = [GATEWAY_SERVER_LIMITS, VERIFIER_SERVER_LIMITS]
  const count = (number: number): string => number.toLocaleString('en')
  expect(verifier.headTimeoutMilliseconds).toBe(verifier.requestTimeoutMilliseconds)
  expect(ANSWER_TIME_LIMITS).toBe(2)
  expect(verifier.pipelinedMax).toBe(gateway.pipelinedMax)
  for (const words of [
    `Questions have ${QUESTION_MAX_BYTES / 1024} KiB, clients ${verifier.requestTimeoutMilliseconds / 1000} s for a whole one`,
    `takes ${count(verifier.connectionsMax)} connections`,
    `${SPARED_LINES_PER_SECOND} lines a second of each kind`,
    `${gateway.headTimeoutMilliseconds / 1000} s for a head and ${gateway.requestTimeoutMilliseconds / 1000} s for a request`,
    `takes ${count(gateway.connectionsMax)} connections`,
    `more than ${gateway.pipelinedMax} requests waiting`,
    'within twice `UPSTREAM_TIMEOUT_SECONDS`',
    `(the verifier: ${verifier.stallMilliseconds / 1000} s)`,
    `more than ${count(RATED_CALLERS_MAX)} callers within ${2 * RATE_BURST_SECONDS} s`,
  ])
    expect(text).toContain(words)
})

test('the unit file of the verifier is packed, starts what is built, and fits the commands in README.md', () => {
  const { files, bin } = JSON.parse(read('package.json')) as { files: string[]; bin: Record<string, string> }
  expect(files).toContain('functions/systemd')
  const unit = read('functions/systemd/slurmgate-verifier.service')
  const readValue = (name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1] ?? ''
  expect(readValue('ExecStart')).toBe(`/usr/bin/node /opt/slurmgate/${bin['slurmgate'] ?? ''} verifier`)
  expect(readme).toContain('the clone in `/opt/slurmgate`')
  for (const path of [readValue('EnvironmentFile'), 'functions/systemd/slurmgate-verifier.service']) {
    expect(section('service')).toContain(path)
  }
  expect(read('functions/systemd/slurmgate.sysusers.conf')).toMatch(
    new RegExp(`^u ${readValue('User')} - `, 'm'),
  )
  // munged's 2.5 s, twice getent's 5 s and Postgres's 3.5 s fit; and the end of the pool, a second, before systemd kills.
  expect(STOP_MILLISECONDS).toBeGreaterThan(2_500 + 2 * 5_000 + 3_500)
  expect(Number(readValue('TimeoutStopSec')) * 1000).toBeGreaterThan(STOP_MILLISECONDS + 1_000)
  const comment = `${STOP_MILLISECONDS / 1000} s at most`
  expect(unit).toContain(comment)
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

test('every command of slurmgate in the documents is one of slurmgate --help, and so are its options', () => {
  const commands = new Set(
    [...USAGE.matchAll(/^ {2}slurmgate ([a-z-]+(?: (?:[a-z]+)\b)?)/gm)].map(([, words = '']) => words),
  )
  const options = new Set([...USAGE.matchAll(/--[a-z-]+/g)].map(([option]) => option))
  const found: string[] = []
  for (const document of ['README.md', 'SECURITY.md', 'CHANGELOG.md']) {
    for (const [, words = '', rest = ''] of read(document).matchAll(
      /`(?:npx )?slurmgate ((?:token|db|signer-key|slurm-key) [a-z]+|[a-z-]+)([^`]*)`/g,
    )) {
      found.push(words)
      const isThere = [...commands].some((command) => command === words || command.startsWith(`${words} `))
      expect([document, words, isThere]).toEqual([document, words, true])
      for (const [option] of rest.matchAll(/--[a-z-]+/g))
        expect([document, option, options.has(option)]).toEqual([document, option, true])
    }
  }
  expect(found.length).toBeGreaterThan(20)
})

test('the runbooks name events, rules and variables that there are', () => {
  const [, runbooks = ''] = read('SECURITY.md').split(/<!-- runbooks:(?:begin|end) -->/)
  const sources = readSources('src') + readSources('functions')
  const events = [...runbooks.matchAll(/"([a-z_]+)"/g)].map(([, event = '']) => event)
  expect(events.length).toBeGreaterThan(10)
  for (const event of events) expect([event, sources.includes(`'${event}'`)]).toEqual([event, true])
  const rules: readonly string[] = Object.keys({ ...REFUSALS, ...OUTAGES })
  const errors = [...runbooks.matchAll(/(?:401|502|503)\s+`([a-z_]+)`/g)].map(([, rule = '']) => rule)
  expect(errors.length).toBeGreaterThan(3)
  for (const rule of errors) expect(rules).toContain(rule)
  const variables = [...runbooks.matchAll(/`([A-Z][A-Z0-9]+_[A-Z0-9_]+)\b/g)].map(([, name = '']) => name)
  for (const name of variables)
    if (name !== 'SLURM_JWT_')
      expect([name, section('configuration').includes(`\`${name}\``)]).toEqual([name, true])
})

test('the runbooks end the sessions of a login before they revoke tokens: it could keep revocations from being made', () => {
  const text = read('SECURITY.md')
  const [, gateway = ''] = /\n\*\*A gateway or Worker\.\*\*([^]*?)\n\*\*/.exec(text) ?? []
  const [, password = ''] = /\n\*\*A database password\.\*\*([^]*?)\n\*\*/.exec(text) ?? []
  for (const [runbook, end, revoke] of [
    [gateway, 'as in step 1 of "a database password"', 'slurmgate token revoke'],
    [password, 'pg_terminate_backend', 'Revoke what you do not know'],
  ] as const) {
    expect(runbook.indexOf(end)).toBeGreaterThan(0)
    expect(runbook.indexOf(revoke)).toBeGreaterThan(runbook.indexOf(end))
  }
})

test('the table of rotations looks at lines that doctor has, and its ages are those of the code', () => {
  const sources = readSources('functions/cli')
  const lines = readTable('rotation').flatMap(([, , look = '']) => readNames(look))
  for (const line of lines) {
    const isThere = line.startsWith('db ')
      ? USAGE.includes(`slurmgate ${line}`)
      : sources.includes(`'${line}'`)
    expect([line, isThere]).toEqual([line, true])
  }
  expect(readme).toContain(`Keys of more than ${KEY_AGE_MAX_DAYS} days`)
})
