/**
 * One real Slurm under attack: the cluster, a relay that writes down what reaches its slurmrestd, and a gateway between
 * the attacker and the relay, started as an operator starts it. Everything about jobs is asked of the cluster itself.
 */

import { execFileSync } from 'node:child_process'
import { appendFileSync, chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Suite } from '../../functions/up/base-root.ts'
import { startCluster, type Cluster } from '../../functions/up/cluster.ts'
import { startMunged, type Munged } from '../../functions/up/munged.ts'
import { ALICE, asUser, BOB, OTHER_ACCOUNT, OWN_ACCOUNT } from '../integration/real-cluster.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import { Program, runProgram, waitUntil } from '../support/program.ts'
import { signSlurmJwt } from '../support/slurm-jwt.ts'
import { CLI_PATH, findFreePort, isAnswering } from '../support/surroundings.ts'
import { isRestricted, SCOPES_OF } from './attacks/scopes.ts'
import type { TokenCaller } from './hostile-request.ts'
import { RecordingRelay } from './recording-relay.ts'

export interface SlurmUnderTest {
  readonly name: string
  readonly suite: Suite
  readonly instance: string
}

export interface RealSlurm {
  readonly cluster: Cluster
  readonly relay: RecordingRelay
  readonly gatewayPort: number
  /** The NN of v0.0.NN that its slurmrestd serves. */
  readonly versions: readonly number[]
  isGatewayRunning(): boolean
  /** What the gateway printed last. */
  readGatewayLines(): readonly string[]
  /** An API token, by its caller. */
  readonly tokens: Readonly<Record<TokenCaller, string>>
  /** MUNGE credentials of alice, good for five seconds. */
  makeCredentials(count: number): readonly string[]
  /** Ids of the honest client's jobs: the watch leaves them alone. */
  readonly honestJobs: Set<string>
  /** A Slurm token of alice, for requests behind the gate's back. */
  mintSlurmToken(): string
  /** A shell script inside the cluster. @throws where it fails. */
  runInside(script: string, as?: string): Promise<string>
  stop(): Promise<void>
}

/** @throws in words where the Debian root or the cluster cannot be built. */
export async function startRealSlurm(subject: SlurmUnderTest): Promise<RealSlurm> {
  const directory = mkdtempSync(join(tmpdir(), `slurmgate-${subject.instance}-`))
  chmodSync(directory, 0o755)
  const undo: (() => Promise<unknown>)[] = []
  const stop = async (): Promise<void> => {
    for (const step of undo.reverse()) await step()
    rmSync(directory, { recursive: true, force: true })
  }
  const keep = <T extends { stop(): Promise<unknown> }>(started: T): T => {
    undo.push(() => started.stop())
    return started
  }
  try {
    const munged = keep(await startOwnMunged(directory))
    const [cluster, postgres] = await Promise.all([
      startOwnCluster(subject, munged.socket).then(keep),
      startTestPostgres().then(keep),
    ])
    const relay = keep(await RecordingRelay.start({ host: '127.0.0.1', port: cluster.ports.slurmrestd }))
    const { gateway, port } = await startGateway({ cluster, munged, postgres, relay })
    keep(gateway)
    const key = readFileSync(cluster.hs256KeyFile)
    return {
      cluster,
      relay,
      gatewayPort: port,
      versions: await readVersions(cluster, key),
      isGatewayRunning: () => gateway.isRunning,
      readGatewayLines: () => gateway.lines.slice(-20),
      tokens: await issueTokens(postgres.url),
      makeCredentials: (count) => makeCredentials(munged.socket, count),
      honestJobs: new Set(),
      mintSlurmToken: () => mintSlurmToken(key),
      runInside: (script, as) => runInside(cluster, script, as),
      stop,
    }
  } catch (cause) {
    await stop()
    throw cause
  }
}

function startOwnMunged(directory: string): Promise<Munged> {
  return startMunged({
    socket: join(directory, 'munge/munge.socket.2'),
    keyFile: join(directory, 'keys/munge.key'),
    dir: join(directory, 'munge'),
  })
}

/**
 * Ended jobs are forgotten soon, so that lists stay short; `live` runs jobs, and `main`, the default, is closed once
 * the fixtures stand: what the attackers submit waits there.
 */
async function startOwnCluster({ suite, instance }: SlurmUnderTest, mungeSocket: string): Promise<Cluster> {
  const cluster = await startCluster({
    instance,
    suite,
    mungeSocket,
    fresh: true,
    users: [ALICE, BOB].map((user) => ({
      ...user,
      accounts: [OWN_ACCOUNT, OTHER_ACCOUNT],
      defaultAccount: OTHER_ACCOUNT,
    })),
    onProgress: (line) => process.stderr.write(`  ${instance}: ${line}\n`),
  })
  try {
    appendFileSync(join(cluster.instanceDir, 'config/slurm/slurm.conf'), 'MinJobAge=5\n')
    await cluster.restart('slurmctld')
    await runInside(cluster, 'scontrol create PartitionName=live Nodes=ALL MaxTime=INFINITE State=UP')
    return cluster
  } catch (cause) {
    await cluster.stop()
    throw cause
  }
}

async function startGateway(parts: {
  readonly cluster: Cluster
  readonly munged: Munged
  readonly postgres: TestPostgres
  readonly relay: RecordingRelay
}): Promise<{ gateway: Program; port: number }> {
  const { cluster, munged, postgres, relay } = parts
  await runProgram(process.execPath, [CLI_PATH, 'db', 'migrate'], {
    environment: { DATABASE_URL: postgres.url },
    timeoutMilliseconds: 120_000,
  })
  const port = await findFreePort()
  const gateway = new Program(process.execPath, [CLI_PATH, 'gateway'], {
    environment: {
      DATABASE_URL: postgres.url,
      SLURMRESTD_URL: relay.url,
      // Each call is to reach Slurm, and is compared with the same one sent directly.
      CACHE_TTL_SECONDS: '0',
      SLURM_JWT_HS256_KEY_FILE: cluster.hs256KeyFile,
      MUNGE_SOCKET: munged.socket,
      PORT: String(port),
      ADMIN_SCOPES: 'on',
      LOG_LEVEL: 'warn',
    },
  })
  const isUp = async (): Promise<boolean> => {
    if (!gateway.isRunning) throw new Error(`the gateway ended: ${gateway.lines.join('\n')}`)
    return isAnswering(port)
  }
  await waitUntil('the gateway listens', isUp, 120_000)
  return { gateway, port }
}

async function issueTokens(databaseUrl: string): Promise<RealSlurm['tokens']> {
  const issue = async (caller: TokenCaller): Promise<string> => {
    const restriction = isRestricted(caller) ? ['--account', OWN_ACCOUNT] : ['--any-account']
    const parameters = [
      '--name',
      caller,
      '--user',
      ALICE.name,
      '--scope',
      SCOPES_OF[caller].join(','),
      ...restriction,
    ]
    const issued = await runProgram(
      process.execPath,
      [CLI_PATH, 'token', 'issue', ...parameters, '--issued-by', 'tests'],
      { environment: { DATABASE_URL: databaseUrl, ADMIN_SCOPES: 'on' }, timeoutMilliseconds: 120_000 },
    )
    return issued.trimEnd()
  }
  return {
    bound: await issue('bound'),
    reader: await issue('reader'),
    manager: await issue('manager'),
    accountant: await issue('accountant'),
    free: await issue('free'),
    admin: await issue('admin'),
  }
}

function makeCredentials(socket: string, count: number): readonly string[] {
  const script = `for i in $(seq ${count}); do munge --socket="$1" -n -t 5 || exit 1; done`
  return execFileSync('setpriv', [...asUser(ALICE.uid), 'sh', '-c', script, 'sh', socket], {
    encoding: 'utf8',
  })
    .trim()
    .split('\n')
}

const SLURM_TOKEN_SECONDS = 3600

function mintSlurmToken(key: Buffer): string {
  const now = Math.floor(Date.now() / 1000)
  return signSlurmJwt(key, { sun: ALICE.name, iat: now, exp: now + SLURM_TOKEN_SECONDS })
}

/** From the daemon's own OpenAPI document, behind the gate's back. */
async function readVersions(cluster: Cluster, key: Buffer): Promise<readonly number[]> {
  const answer = await fetch(`${cluster.slurmrestdUrl}/openapi`, {
    headers: { 'X-SLURM-USER-NAME': ALICE.name, 'X-SLURM-USER-TOKEN': mintSlurmToken(key) },
  })
  const { paths } = (await answer.json()) as { paths: Record<string, unknown> }
  const found = Object.keys(paths).flatMap((path) => /^\/slurm\/v0\.0\.(\d+)\//.exec(path)?.[1] ?? [])
  return [...new Set(found.map(Number))].sort((a, b) => a - b)
}

async function runInside(cluster: Cluster, script: string, as?: string): Promise<string> {
  const { stdout, stderr, code } = await cluster.run(['sh', '-ec', script], as)
  if (code !== 0) throw new Error(`inside ${cluster.clusterName}: ${script}: ${stderr.trim()}`)
  return stdout.trim()
}
