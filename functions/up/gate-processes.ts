/** Starts our own programs as other processes, just as an operator would: migrations, token, verifier, gateway. */
import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { requireCommand } from './command.ts'
import { startDaemon, waitUntilReady, type Daemon } from './daemon.ts'

/** dist/cli.js stands beside the bundle of this file. */
export const cliFile = fileURLToPath(new URL('./cli.js', import.meta.url))
const checkout = dirname(dirname(cliFile))

export interface GateOptions {
  /** The settings of README's table, beyond those this file makes. */
  settings: Record<string, string>
  logDir: string
  gatewayPort: number
  /** Null where there is no munged to ask. */
  munge: { verifierPort: number; socket: string } | null
  signal: AbortSignal
}

export interface Gate {
  url: string
  daemons: Daemon[]
  stop(): Promise<void>
}

/** Starts the verifier, then the gateway; on return both answer. */
export async function startGate(options: GateOptions): Promise<Gate> {
  const { settings, munge, gatewayPort, signal } = options
  await mkdir(options.logDir, { recursive: true })
  const daemons: Daemon[] = []
  const key = randomBytes(32).toString('base64')
  const start = async (
    name: 'verifier' | 'gateway',
    env: Record<string, string>,
    url: string,
  ): Promise<void> => {
    const daemon = await startDaemon({
      name,
      command: [process.execPath, cliFile, name],
      identity: narrowRoot(),
      logFile: join(options.logDir, `${name}.log`),
      env: { ...buildBaseEnvironment(), ...env },
      cwd: checkout,
      graceSeconds: 15,
    })
    daemons.push(daemon)
    await waitUntilReady(daemon, () => isAnswering(url), { timeoutSeconds: 30, signal })
  }
  const stop = async (): Promise<void> => {
    for (const daemon of [...daemons].reverse()) await daemon.stop()
  }
  const url = `http://127.0.0.1:${gatewayPort}`
  const gatewayEnv: Record<string, string> = {
    ...settings,
    PORT: String(gatewayPort),
    REPLAY_GUARD: 'postgres',
  }
  try {
    if (munge) {
      const verifierUrl = `http://127.0.0.1:${munge.verifierPort}`
      const port = String(munge.verifierPort)
      const verifierEnv = { MUNGE_VERIFIER_KEY: key, MUNGE_SOCKET: munge.socket, VERIFIER_PORT: port }
      await start('verifier', verifierEnv, `${verifierUrl}/healthz`)
      Object.assign(gatewayEnv, { MUNGE_VERIFIER_URL: verifierUrl, MUNGE_VERIFIER_KEY: key })
    } else {
      gatewayEnv['MUNGE_MODE'] = 'off'
    }
    await start('gateway', gatewayEnv, `${url}/ping`)
  } catch (error) {
    await stop()
    throw error
  }
  return { url, daemons, stop }
}

/** Runs one of our commands to its end; returns its standard output. */
export function runCli(args: readonly string[], settings: Record<string, string>): Promise<string> {
  const env = { ...buildBaseEnvironment(), ...settings }
  const what = `slurmgate ${args.slice(0, 2).join(' ')}`
  return requireCommand(what, [process.execPath, cliFile, ...args], { env, cwd: checkout })
}

/** Settings of the operator's shell that could contradict ours stay out. */
function buildBaseEnvironment(): NodeJS.ProcessEnv {
  const names = [
    'PATH',
    'HOME',
    'LANG',
    'LOG_LEVEL',
    'NODE_OPTIONS',
    'NODE_EXTRA_CA_CERTS',
    'ALLOW_PLAINTEXT',
  ]
  return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])))
}

/** As root the two keep the right to read a checkout of somebody else's, and lose every other privilege of root. */
function narrowRoot(): string[] {
  if (process.getuid?.() !== 0) return []
  return ['--inh-caps=-all', '--bounding-set=-all,+dac_read_search', '--no-new-privs']
}

async function isAnswering(url: string): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(2000) }).catch(() => null)
  await response?.body?.cancel()
  return response !== null
}
