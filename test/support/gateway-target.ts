/** A gateway under test: the same app as a Node process or as a Worker in workerd, reached over plain TCP. */

import type { Readable } from 'node:stream'
import { Miniflare, type WorkerOptions } from 'miniflare'
import { Program, waitUntil } from './program.ts'
import { CLI_PATH, findFreePort, isAnswering, type Environment } from './surroundings.ts'
import { loadWorkerBundle } from './worker-bundle.ts'

export interface Target {
  readonly name: 'node' | 'workerd'
  readonly host: string
  readonly port: number
  /** The header that names the client's address to this gateway. */
  clientHeader(address: string): readonly [name: string, value: string]
  /** Everything the process printed, line by line. */
  logs(): string[]
  stop(): Promise<void>
}

/** @param environment merged over the runtime's own settings; undefined removes a variable. */
export type StartTarget = (environment: Environment) => Promise<Target>

const HOST = '127.0.0.1'

export const startNodeTarget: StartTarget = async (environment) => {
  const port = await findFreePort()
  const program = new Program(process.execPath, [CLI_PATH, 'gateway'], {
    environment: {
      CLIENT_ADDRESS_FROM: 'x-forwarded-for',
      TRUSTED_PROXIES: '127.0.0.1/32',
      ...environment,
      HOST,
      PORT: String(port),
    },
  })
  await waitUntil('the gateway listens', async () => {
    if (!program.isRunning) throw new Error(`the gateway ended: ${program.lines.join('\n')}`)
    return isAnswering(port)
  })
  return {
    name: 'node',
    host: HOST,
    port,
    clientHeader: (address) => ['X-Forwarded-For', address],
    logs: () => program.lines,
    stop: () => program.stop(),
  }
}

export const startWorkerdTarget: StartTarget = (environment) =>
  startWorker(toBindings({ CLIENT_ADDRESS_FROM: 'cf-connecting-ip', ...environment }))

export function toBindings(environment: Environment): Bindings {
  const isSet = (entry: [string, string | undefined]): entry is [string, string] => entry[1] !== undefined
  return Object.fromEntries(Object.entries(environment).filter(isSet))
}

/** What wrangler makes of the values in its file; what is no string becomes a JSON binding. */
export type Bindings = Readonly<Record<string, string | number | boolean | string[]>>

/** Bindings that are no settings: services with a certificate in the place of `mtls_certificates`, and Hyperdrive's. */
export type OtherBindings = Partial<Pick<WorkerOptions, 'serviceBindings' | 'hyperdrives'>>

/** The Worker that wrangler would deploy, in workerd. */
export async function startWorker(bindings: Bindings, others: OtherBindings = {}): Promise<Target> {
  const lines: string[] = []
  const { script, compatibility } = await loadWorkerBundle()
  const miniflare = new Miniflare({
    modules: true,
    script,
    ...compatibility,
    bindings,
    ...others,
    // Straight to the Worker: no entry Worker of the simulator in between that would mend requests.
    unsafeDirectSockets: [{ host: HOST, port: 0 }],
    handleRuntimeStdio(stdout: Readable, stderr: Readable) {
      for (const stream of [stdout, stderr]) {
        stream.setEncoding('utf8').on('data', (text: string) => {
          lines.push(text)
        })
      }
    },
  })
  await miniflare.ready
  const { port } = await miniflare.unsafeGetDirectURL()
  await waitUntil('the Worker answers', () => isAnswering(Number(port)))
  return {
    name: 'workerd',
    host: HOST,
    port: Number(port),
    clientHeader: (address) => ['CF-Connecting-IP', address],
    logs: () =>
      lines
        .join('')
        .split('\n')
        .filter((line) => line !== ''),
    stop: () => miniflare.dispose(),
  }
}
