/** Brings everything up in order: packages, users, munged, Slurm, Postgres, token, verifier and gateway. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Cleanup } from './cleanup.ts'
import { startCluster } from './cluster.ts'
import { startDatabase } from './database.ts'
import { runCli, startGate, type Gate } from './gate-processes.ts'
import { stateDir } from './host-changes.ts'
import { startHostMunge, type HostMunge } from './host-munge.ts'
import { findMissingPackages, installPackages } from './host-packages.ts'
import { ensureHostUser } from './host-users.ts'
import { findFreePort } from './port.ts'
import type { Transcript } from './transcript.ts'
import type { UpSettings } from './up-settings.ts'

export interface StackContext {
  settings: UpSettings
  transcript: Transcript
  cleanup: Cleanup
  signal: AbortSignal
}

/** How the gateway reaches Slurm, and who asks for MUNGE credentials on this host. */
export interface SlurmAccess {
  settings: Record<string, string>
  mungeSocket: string | null
}

export interface Stack {
  gate: Gate
  token: string
  slurmrestdUrl: string
}

/** Slurm's usual ports plus ten thousand: a host's own Slurm is not disturbed. */
const preferredPorts = { slurmctld: 16817, slurmd: 16818, slurmdbd: 16819, slurmrestd: 16820 }
const preferredDatabasePort = 15432
const demoScopes = 'slurm:read,slurmdb:read,slurm:jobs:manage'

/** Everything on this host that a cluster of our own needs, and the cluster. */
export async function bringUpSlurm(context: StackContext, munge: HostMunge): Promise<SlurmAccess> {
  const { settings, transcript, cleanup, signal } = context
  const missing = findMissingPackages()
  if (missing.length > 0) {
    await transcript.step(`Installing with apt-get: ${missing.join(' ')}`, (report) =>
      installPackages(missing, report),
    )
    signal.throwIfAborted()
  }
  const [demo, service] = await transcript.step(
    `Users on this host: ${settings.demoUser} and ${settings.serviceUser}`,
    async () => [
      await ensureHostUser(settings.demoUser, 'person'),
      await ensureHostUser(settings.serviceUser, 'service'),
    ],
  )
  transcript.say(`   ${settings.demoUser} is uid ${demo.uid}, ${settings.serviceUser} is uid ${service.uid}`)
  signal.throwIfAborted()
  const munged = await transcript.step('munged, so that `munge` works for everybody on this host', () =>
    startHostMunge(munge),
  )
  cleanup.add('munged', () => munged.stop())
  transcript.say(`   ${munged.description}, socket ${munged.socket}`)
  const cluster = await transcript.step('A real Slurm with one node', async (report) => {
    const account = settings.account
    const cluster = await startCluster({
      instance: 'up',
      suite: settings.suite,
      cacheDir: settings.cacheDir,
      mungeSocket: munged.socket,
      users: [
        { name: demo.name, uid: demo.uid, gid: demo.gid, home: demo.home, accounts: [account] },
        { name: service.name, uid: service.uid, gid: service.gid, accounts: [account] },
      ],
      accounts: ['otherlab'],
      ports: preferredPorts,
      onProgress: report,
      signal,
    })
    cleanup.add('the cluster', () => cluster.stop())
    return cluster
  })
  const { stdout } = await cluster.run(['sinfo', '--version'])
  transcript.say(`   ${stdout.trim()}: ${cluster.slurmrestdUrl}, node ${cluster.nodeName} is idle`)
  return {
    settings: { SLURMRESTD_URL: cluster.slurmrestdUrl, SLURM_JWT_HS256_KEY_FILE: cluster.hs256KeyFile },
    mungeSocket: munged.socket,
  }
}

/** The gate in front of whichever Slurm it is. */
export async function bringUpGate(context: StackContext, slurm: SlurmAccess): Promise<Stack> {
  const { settings, transcript, cleanup, signal } = context
  const dir = await prepareStateDir()
  const databaseUrl = settings.databaseUrl ?? (await bringUpDatabase(context, dir))
  const gateSettings = { ...slurm.settings, DATABASE_URL: databaseUrl }
  signal.throwIfAborted()
  const token = await transcript.step('Migrations and a demo token', async (report) => {
    report('slurmgate db migrate')
    await runCli(['db', 'migrate'], gateSettings)
    report('slurmgate token issue')
    return issueDemoToken(settings, gateSettings, join(dir, 'demo-token-id'))
  })
  transcript.say(`   scopes ${demoScopes}; acts as ${settings.serviceUser} in ${settings.account} for 7 days`)
  signal.throwIfAborted()
  const title = slurm.mungeSocket === null ? 'Gateway (without a verifier)' : 'Verifier and gateway'
  const gate = await transcript.step(title, () =>
    startGate({
      settings: gateSettings,
      logDir: join(dir, 'logs'),
      gatewayPort: settings.gatewayPort,
      munge:
        slurm.mungeSocket === null
          ? null
          : { verifierPort: settings.verifierPort, socket: slurm.mungeSocket },
      signal,
    }),
  )
  cleanup.add('verifier and gateway', () => gate.stop())
  transcript.say(`   ${gate.url}, logs in ${join(dir, 'logs')}`)
  return { gate, token, slurmrestdUrl: slurm.settings['SLURMRESTD_URL'] ?? '' }
}

/** Root keeps its state with the system's, everybody else in their home. */
export function findStateDir(): string {
  if (process.getuid?.() === 0) return join(stateDir, 'up')
  return join(process.env['XDG_STATE_HOME'] ?? join(homedir(), '.local/state'), 'slurmgate')
}

async function prepareStateDir(): Promise<string> {
  const dir = findStateDir()
  await mkdir(dir, { recursive: true, mode: 0o755 })
  return dir
}

function bringUpDatabase({ transcript, cleanup, signal }: StackContext, dir: string): Promise<string> {
  return transcript.step('Postgres (embedded)', async () => {
    const user = process.getuid?.() === 0 ? { user: await ensureHostUser('slurmgate', 'system') } : {}
    const port = await findFreePort(preferredDatabasePort)
    const database = await startDatabase({ dir: join(dir, 'postgres'), port, signal, ...user })
    cleanup.add('Postgres', () => database.stop())
    return database.url
  })
}

/** One demo token at a time: that of the start before is revoked. */
async function issueDemoToken(
  { serviceUser, account }: UpSettings,
  gateSettings: Record<string, string>,
  idFile: string,
): Promise<string> {
  const earlierId = (await readFile(idFile, 'utf8').catch(() => '')).trim()
  if (earlierId) await runCli(['token', 'revoke', earlierId], gateSettings).catch(() => undefined)
  const what = ['--name', 'demo', '--user', serviceUser, '--account', account, '--issued-by', 'npm run up']
  const text = await runCli(
    ['token', 'issue', ...what, '--scope', demoScopes, '--expires', '7d', '--json'],
    gateSettings,
  )
  const { id, token } = JSON.parse(text) as { id?: unknown; token?: unknown }
  if (typeof id !== 'string' || typeof token !== 'string')
    throw new Error('token issue --json printed no id or token')
  await writeFile(idFile, `${id}\n`, { mode: 0o600 })
  return token
}
