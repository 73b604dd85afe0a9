/**
 * A small cluster of real hosts around one gate: plain ones, one with two interfaces, two behind one address, one that
 * reaches the gate by IPv6 only, a proxy. Each that makes credentials has its own munged with the cluster's key.
 */

import { chmodSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildMungeKey, MungeDaemon } from '../support/munge-daemon.ts'
import { NetworkHost } from '../support/network-host.ts'
import { waitUntil, type Program } from '../support/program.ts'
import { CLI_PATH } from '../support/surroundings.ts'

export const GATE_IPV4 = '10.77.0.1'
export const GATE_IPV6 = 'fd77::1'
export const NAT_ADDRESS = '10.77.0.30'
const NAT_INNER_ADDRESS = '10.99.0.1'

/** By name: what the host's own name resolves to, and what it speaks to the gate from. */
export const HOSTS = {
  gate: { origin: GATE_IPV4, client: GATE_IPV4 },
  plain: { origin: '10.77.0.11', client: '10.77.0.11' },
  other: { origin: '10.77.0.12', client: '10.77.0.12' },
  /** Its name is that of the inner network's interface. */
  multi: { origin: '10.88.0.13', client: '10.77.0.13' },
  six: { origin: '10.88.0.16', client: 'fd77::16' },
  inner1: { origin: '10.99.0.21', client: NAT_ADDRESS },
  inner2: { origin: '10.99.0.22', client: NAT_ADDRESS },
  proxy: { origin: '10.77.0.14', client: '10.77.0.14' },
} as const
export type HostName = keyof typeof HOSTS

export const HOST_MAP = `
# name and interface differ
${HOSTS.multi.origin}  ${HOSTS.multi.client}
${HOSTS.six.origin}  ${HOSTS.six.client}/128
# behind one address
${HOSTS.inner1.origin} shared ${NAT_ADDRESS}
${HOSTS.inner2.origin} shared ${NAT_ADDRESS}
`

/** Gateways by how they bind: two ask a verifier; the third has its own and stands behind `proxy`. */
export const GATEWAYS = { mapped: 8001, strict: 8002, proxied: 8003 } as const
export type GatewayName = keyof typeof GATEWAYS
const VERIFIER_PORTS = { mapped: 9001, strict: 9002 } as const

/** Rewrites the sender, as NAT does: the gate sees the router's address whichever host inside speaks. */
const NAT_PROGRAM = `
const net = require('node:net')
for (const port of ${JSON.stringify(Object.values(GATEWAYS))})
  net.createServer((inside) => {
    const outside = net.connect({ host: '${GATE_IPV4}', port })
    inside.pipe(outside).pipe(inside)
    for (const socket of [inside, outside]) socket.on('error', () => { inside.destroy(); outside.destroy() })
  }).listen(port, '${NAT_INNER_ADDRESS}')
console.log('up')
`

const USER = { name: 'nodeuser', uid: 6061 }
const SECRET = Buffer.alloc(32, 9).toString('base64')

export interface ClusterOfHosts {
  readonly userName: string
  readonly verifier: Program
  /** The gate's address on the cable to `six`, with the zone that it has there. */
  readonly linkLocalGate: string
  /** Replaces the map by renaming, as operators are told to. */
  replaceMap(text: string): void
  makeCredential(host: HostName): Promise<string>
  /** From that host, on a connection of its own. @returns status, and the error's name or the user's. */
  send(from: HostName, to: GatewayName, credential: string, more?: SendOptions): readonly [number, string]
  stop(): Promise<void>
}

export interface SendOptions {
  readonly headers?: readonly string[]
  /** Instead of the gate's address that this host has a way to. */
  readonly gateAddress?: string
  /** The sender's address or interface. */
  readonly interface?: string
}

export async function startClusterOfHosts(): Promise<ClusterOfHosts> {
  const directory = mkdtempSync(join(tmpdir(), 'slurmgate-hosts-'))
  chmodSync(directory, 0o755)
  const mapFile = join(directory, 'hosts.map')
  const replaceMap = (text: string): void => {
    writeFileSync(`${mapFile}.new`, text, { mode: 0o644 })
    renameSync(`${mapFile}.new`, mapFile)
  }
  replaceMap(HOST_MAP)

  const hosts = await startHosts(directory)
  const munges = await startMunges(hosts, directory)
  const mungeSocket = munges.gate.socketPath
  const programs = startPrograms(hosts, { mapFile, mungeSocket })
  const stop = async (): Promise<void> => {
    await Promise.all([...Object.values(programs), ...Object.values(munges)].map((each) => each.stop()))
    await Promise.all(Object.values(hosts).map((host) => host.stop()))
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    await waitForPrograms(programs)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    userName: USER.name,
    verifier: programs.mappedVerifier,
    linkLocalGate: `[${hosts.gate.findLinkLocalAddress(hosts.six)}%to-gate]`,
    replaceMap,
    makeCredential: (host) => munges[host].makeCredential(['-n', '-t', '5'], USER.uid),
    send: (from, to, credential, more = {}) => send(hosts[from], HOSTS[from], GATEWAYS[to], credential, more),
    stop,
  }
}

type ByHost<Value> = Record<HostName, Value>

async function startHosts(directory: string): Promise<ByHost<NetworkHost> & { nat: NetworkHost }> {
  const start = (name: string, ownAddress: string): Promise<NetworkHost> =>
    NetworkHost.start({ name, ownAddress, directory, user: USER })
  const names = Object.keys(HOSTS) as HostName[]
  const started = await Promise.all(
    names.map(async (name) => [name, await start(name, HOSTS[name].origin)] as const),
  )
  const hosts = {
    ...(Object.fromEntries(started) as ByHost<NetworkHost>),
    nat: await start('nat', NAT_ADDRESS),
  }
  for (const name of ['plain', 'other', 'multi', 'proxy'] as const) {
    hosts.gate.connect(hosts[name], [GATE_IPV4], [HOSTS[name].client])
  }
  hosts.gate.connect(hosts.nat, [GATE_IPV4], [NAT_ADDRESS])
  hosts.gate.connect(hosts.six, [GATE_IPV6], [HOSTS.six.client])
  for (const name of ['inner1', 'inner2'] as const) {
    hosts.nat.connect(hosts[name], [NAT_INNER_ADDRESS], [HOSTS[name].origin])
  }
  // The inner network, from which the gate can be reached too.
  hosts.multi.addAddress(HOSTS.multi.origin)
  hosts.gate.run('ip', 'route', 'add', HOSTS.multi.origin, 'dev', 'to-multi')
  hosts.six.addAddress(HOSTS.six.origin)
  return hosts
}

async function startMunges(hosts: ByHost<NetworkHost>, directory: string): Promise<ByHost<MungeDaemon>> {
  const key = buildMungeKey()
  const started = (Object.keys(HOSTS) as HostName[]).map(async (name) => {
    const options = { directory: join(directory, name), originAddress: null, key, prefix: hosts[name].prefix }
    return [name, await MungeDaemon.start(options)] as const
  })
  return Object.fromEntries(await Promise.all(started)) as ByHost<MungeDaemon>
}

type Programs = Record<GatewayName | 'mappedVerifier' | 'strictVerifier' | 'nat', Program>

function startPrograms(
  hosts: ByHost<NetworkHost> & { nat: NetworkHost },
  { mapFile, mungeSocket }: { mapFile: string; mungeSocket: string },
): Programs {
  const map = { MUNGE_HOST_BINDING: 'map', MUNGE_HOST_MAP_FILE: mapFile }
  const startVerifier = (port: number, environment: Record<string, string>): Program =>
    hosts.gate.start([process.execPath, CLI_PATH, 'verifier'], {
      MUNGE_SOCKET: mungeSocket,
      MUNGE_VERIFIER_KEY: SECRET,
      VERIFIER_PORT: String(port),
      ...environment,
    })
  const startGateway = (port: number, environment: Record<string, string>): Program =>
    hosts.gate.start([process.execPath, CLI_PATH, 'gateway'], {
      // Neither is asked for who somebody is.
      DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none',
      SLURMRESTD_URL: 'http://127.0.0.1:1',
      SLURM_JWT_HS256_KEY: SECRET,
      REPLAY_GUARD: 'local',
      HOST: '::',
      ALLOW_PLAINTEXT: 'yes',
      PORT: String(port),
      ...environment,
    })
  const remote = (port: number): Record<string, string> => ({
    MUNGE_VERIFIER_URL: `http://127.0.0.1:${port}`,
    MUNGE_VERIFIER_KEY: SECRET,
  })
  return {
    mappedVerifier: startVerifier(VERIFIER_PORTS.mapped, map),
    strictVerifier: startVerifier(VERIFIER_PORTS.strict, {}),
    mapped: startGateway(GATEWAYS.mapped, remote(VERIFIER_PORTS.mapped)),
    strict: startGateway(GATEWAYS.strict, remote(VERIFIER_PORTS.strict)),
    proxied: startGateway(GATEWAYS.proxied, {
      ...map,
      MUNGE_SOCKET: mungeSocket,
      CLIENT_ADDRESS_FROM: 'x-forwarded-for',
      TRUSTED_PROXIES: HOSTS.proxy.client,
    }),
    nat: hosts.nat.start([process.execPath, '-e', NAT_PROGRAM]),
  }
}

async function waitForPrograms(programs: Programs): Promise<void> {
  const saysStart = /verifier_started|gateway_started|^up$/m
  for (const [name, program] of Object.entries(programs)) {
    await waitUntil(`${name} has started`, () => {
      if (!program.isRunning) throw new Error(`${name} ended: ${program.lines.join('\n')}`)
      return saysStart.test(program.stdout)
    })
  }
}

function send(
  from: NetworkHost,
  { client }: { client: string },
  port: number,
  credential: string,
  more: SendOptions,
): readonly [number, string] {
  const way = client === NAT_ADDRESS ? NAT_INNER_ADDRESS : client.includes(':') ? `[${GATE_IPV6}]` : GATE_IPV4
  const headers = [`Authorization: MUNGE ${credential}`, ...(more.headers ?? [])]
  const text = from.run(
    ...['curl', '--silent', '--show-error', '--globoff', '--max-time', '20', '--write-out', '\n%{http_code}'],
    ...(more.interface === undefined ? [] : ['--interface', more.interface]),
    ...headers.flatMap((header) => ['--header', header]),
    `http://${more.gateAddress ?? way}:${port}/meta/whoami`,
  )
  const [body = '', status] = text.split('\n')
  const answer = JSON.parse(body) as { slurm_user?: string; errors?: { error: string }[] }
  return [Number(status), answer.slurm_user ?? answer.errors?.[0]?.error ?? '']
}
