/**
 * Hosts of the test's own: each a process in network, name and mount namespaces of its own, joined by cables. They end
 * with the process that keeps them; nothing of the machine's own network is touched.
 */

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Program, waitUntil } from './program.ts'

const NAMESPACES = ['--net', '--uts', '--mount']
/** Should the test be killed, its hosts end by themselves. */
const LIFE_SECONDS = '600'

/** @returns null where hosts can be made, else why not, in words. */
export function findHostObstacle(): string | null {
  if (process.getuid?.() !== 0) return 'hosts of their own need root'
  for (const [program, parameters] of [
    ['ip', ['-V']],
    ['munged', ['--version']],
    ['curl', ['--version']],
    ['unshare', [...NAMESPACES, 'ip', 'link', 'add', 'name', 'near', 'type', 'veth', 'peer', 'far']],
  ] as const) {
    try {
      execFileSync(program, parameters, { stdio: 'ignore' })
    } catch {
      return program === 'unshare' ? 'network namespaces are not possible here' : `there is no ${program}`
    }
  }
  return null
}

export interface HostOptions {
  readonly name: string
  /** What its own name resolves to, in its own /etc/hosts. */
  readonly ownAddress: string
  readonly directory: string
  /** A user that exists on every host. */
  readonly user: { readonly name: string; readonly uid: number }
}

export class NetworkHost {
  readonly name: string
  readonly #keeper: Program

  private constructor(name: string, keeper: Program) {
    this.name = name
    this.#keeper = keeper
  }

  static async start({ name, ownAddress, directory, user }: HostOptions): Promise<NetworkHost> {
    const [hosts, passwd] = [join(directory, `${name}.hosts`), join(directory, `${name}.passwd`)]
    writeFileSync(hosts, `127.0.0.1 localhost\n::1 localhost\n${ownAddress} ${name}\n`)
    const line = `${user.name}:x:${user.uid}:${user.uid}::/nonexistent:/usr/sbin/nologin\n`
    const others = readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .filter((text) => !text.startsWith(`${user.name}:`))
    writeFileSync(passwd, others.join('\n') + line)
    const script = [
      `hostname ${name}`,
      `mount --bind ${hosts} /etc/hosts`,
      `mount --bind ${passwd} /etc/passwd`,
      'ip link set lo up',
      'echo up',
      `exec sleep ${LIFE_SECONDS}`,
    ].join(' && ')
    const keeper = new Program('unshare', [...NAMESPACES, '--propagation', 'private', 'sh', '-c', script])
    await waitUntil(`host ${name} is up`, () => {
      if (!keeper.isRunning) throw new Error(`host ${name}: ${keeper.stderr}`)
      return keeper.stdout.includes('up')
    })
    return new NetworkHost(name, keeper)
  }

  get pid(): number {
    return this.#keeper.pid
  }

  /** What a command begins with to run on this host. */
  get prefix(): readonly string[] {
    return ['nsenter', `--target=${this.pid}`, ...NAMESPACES, '--']
  }

  /** Runs a command here to its end. @throws when it fails. */
  run(...command: readonly string[]): string {
    const [program = '', ...parameters] = [...this.prefix, ...command]
    return execFileSync(program, parameters, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  }

  start(command: readonly string[], environment: Readonly<Record<string, string>> = {}): Program {
    const [program = '', ...parameters] = [...this.prefix, ...command]
    return new Program(program, parameters, { environment })
  }

  /** Further addresses of this host, on no cable. */
  addAddress(address: string): void {
    this.run('ip', 'address', 'add', address, 'dev', 'lo')
  }

  /** A cable to another host; over it each host speaks from its own addresses to those of the other. */
  connect(other: NetworkHost, ownAddresses: readonly string[], otherAddresses: readonly string[]): void {
    const [near, far] = [`to-${other.name}`, `to-${this.name}`]
    this.run(
      'ip',
      'link',
      'add',
      'name',
      near,
      'type',
      'veth',
      'peer',
      'name',
      far,
      'netns',
      String(other.pid),
    )
    this.#plugIn(near, ownAddresses)
    other.#plugIn(far, otherAddresses)
    this.#addRoutes(near, ownAddresses, otherAddresses)
    other.#addRoutes(far, otherAddresses, ownAddresses)
  }

  /** The address that is good on the cable to `other` only (RFC 4291 section 2.5.6). */
  findLinkLocalAddress(other: NetworkHost): string {
    const text = this.run(
      'ip',
      '-6',
      '-oneline',
      'address',
      'show',
      'dev',
      `to-${other.name}`,
      'scope',
      'link',
    )
    return /inet6 (fe80:[0-9a-f:]+)/.exec(text)?.[1] ?? ''
  }

  #plugIn(device: string, addresses: readonly string[]): void {
    for (const address of addresses) {
      // Duplicate address detection (RFC 4862) takes seconds.
      const options = address.includes(':') ? ['nodad'] : []
      this.run('ip', 'address', 'add', address, 'dev', device, ...options)
    }
    this.run('ip', 'link', 'set', device, 'up')
  }

  #addRoutes(device: string, ownAddresses: readonly string[], otherAddresses: readonly string[]): void {
    for (const address of otherAddresses) {
      const source = ownAddresses.find((own) => own.includes(':') === address.includes(':'))
      if (source !== undefined) this.run('ip', 'route', 'add', address, 'dev', device, 'src', source)
    }
  }

  async stop(): Promise<void> {
    await this.#keeper.stop('SIGKILL')
  }
}
