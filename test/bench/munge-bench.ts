/**
 * What a MUNGE credential costs, each way side by side on this machine and in this run, in several rounds because other work
 * disturbs: compare the ratios. Every call counted is a success, of a credential made just before, outside the time taken.
 */

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Authenticate } from '../../src/authenticate.ts'
import { createMungedSocket } from '../../functions/node/munged-socket.ts'
import { createMungedClient, type MungedClient } from '../../src/munge/munged-client.ts'
import type { ReplayGuard } from '../../src/ports.ts'
import { openDatabase, type Database } from '../../src/tokens/database.ts'
import { createLocalReplayGuard, createPostgresReplayGuard } from '../../src/tokens/replay-guard.ts'
import { buildMungeKey, MungeDaemon } from '../support/munge-daemon.ts'
import { runProgram } from '../support/program.ts'
import { measureRate } from './in-flight.ts'
import { measureMemory } from './memory.ts'
import { findMedian, formatRates, type Row } from './rate-table.ts'
import { measureSigningCost, type MeasureCalls, type SigningPair } from './signing-cost.ts'
import { makeSigningSettings, promiseOneSigner } from './signing-settings.ts'
import { requireAccepted, VerifierUnderLoad } from './verifier-under-load.ts'

const IN_FLIGHT = 8
/** What a busy gateway has under way at once. */
const CALLS_IN_FLIGHT = 32
const ROUNDS = 5
const WARM_UP_ROUNDS = 2
const BATCH_MAX = 10_000
/** Credentials live 5 s: a batch is no larger than what the last one's rate uses up in this time. */
const BATCH_SECONDS = 1.5
const FIRST_BATCH = 1_000

interface Way {
  readonly name: string
  /** @returns calls per second. */
  measure(): Promise<number>
}

/** @param parameters `--memory`: what the verifier holds after a million verifications, instead of the rates. */
export async function runBench(parameters: readonly string[]): Promise<void> {
  const directory = process.cwd()
  const key = buildMungeKey()
  const daemon = await MungeDaemon.start({
    directory: join(directory, 'munged'),
    originAddress: '127.0.0.1',
    key,
  })
  const databaseUrl = process.env['DATABASE_URL'] ?? ''
  const signing = await makeSigningSettings(directory, databaseUrl)
  const verifier = await VerifierUnderLoad.start(directory, daemon.socketPath)
  const signer = await VerifierUnderLoad.start(directory, daemon.socketPath, signing)
  const alone = await VerifierUnderLoad.start(directory, daemon.socketPath, promiseOneSigner(signing))
  const database = openDatabase(databaseUrl)
  try {
    const munged = createMungedClient(createMungedSocket({ path: daemon.socketPath }))
    const makeBatch = (size: number): Promise<string[]> => encodeMany(munged, size)
    if (parameters.includes('--memory')) await measureMemory(verifier, makeBatch)
    else {
      const stand = { daemon, munged, makeBatch, verifier, signer, alone, database: database.db }
      const ways = buildWays(stand)
      printRates(ways, await measureRates(daemon, ways))
      for (const pair of buildSigningPairs(stand))
        process.stdout.write(await measureSigningCost(daemon, pair))
    }
  } finally {
    await database.close()
    await verifier.stop()
    await signer.stop()
    await alone.stop()
    await daemon.stop()
  }
}

interface Stand {
  readonly daemon: MungeDaemon
  readonly munged: MungedClient
  readonly makeBatch: (size: number) => Promise<string[]>
  readonly verifier: VerifierUnderLoad
  /** The same with a signer: it claims, in the same Postgres. */
  readonly signer: VerifierUnderLoad
  /** One that promises to be the only signer: it claims in its own memory. */
  readonly alone: VerifierUnderLoad
  readonly database: Database
}

function buildWays({ daemon, munged, makeBatch, verifier, signer, alone, database }: Stand): readonly Way[] {
  const guard = buildGuard(database)
  const decodes = (name: string, call: (credential: string) => Promise<void>): Way =>
    buildWay(name, { makeBatch, inFlight: IN_FLIGHT, call })
  const asks = (name: string, authenticate: Authenticate): Way =>
    buildWay(name, {
      makeBatch,
      inFlight: CALLS_IN_FLIGHT,
      call: (text) => requireAccepted(authenticate, text),
    })
  return [
    decodes('unmunge, a process for each', (text) => unmunge(daemon.socketPath, text)),
    { name: 'remunge -d -T 8, pairs', measure: () => remunge(daemon.socketPath) },
    decodes('socket client, decode', (text) => decode(munged, text)),
    asks('verifier over HTTP, local guard', verifier.buildAuthenticate(createLocalReplayGuard(Date.now))),
    asks('verifier over HTTP, Postgres guard', verifier.buildAuthenticate(guard)),
    asks('verifier that signs, local guard', alone.buildAuthenticate(guard)),
    asks('verifier that signs, Postgres guard', signer.buildAuthenticate(guard)),
  ]
}

function buildGuard(database: Database): ReplayGuard {
  const log = { write: () => undefined }
  return createPostgresReplayGuard(database, { clock: Date.now, log, maySharePromises: true })
}

/** Without a signer and with one: the credential is claimed in the same way, only by another process. */
function buildSigningPairs({ makeBatch, verifier, signer, alone, database }: Stand): readonly SigningPair[] {
  const build = (asked: VerifierUnderLoad, guard: ReplayGuard): MeasureCalls => {
    const authenticate = asked.buildAuthenticate(guard)
    return async (calls) => {
      const batch = await makeBatch(calls)
      const before = asked.findProcessorTime()
      const rate = await measureRate(batch, CALLS_IN_FLIGHT, (text) => requireAccepted(authenticate, text))
      return { rate, processor: (asked.findProcessorTime() - before) / calls }
    }
  }
  const pair = (guardName: string, guard: ReplayGuard, signing: VerifierUnderLoad): SigningPair => ({
    guardName,
    plain: build(verifier, guard),
    signed: build(signing, guard),
  })
  return [
    pair('local guard', createLocalReplayGuard(Date.now), alone),
    pair('Postgres guard', buildGuard(database), signer),
  ]
}

/** @returns for each way what it did in each round. */
async function measureRates(
  daemon: MungeDaemon,
  ways: readonly Way[],
): Promise<readonly (readonly number[])[]> {
  const rates = ways.map((): number[] => [])
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round += 1) {
    for (const [index, way] of ways.entries()) {
      // What it remembers of one way would slow it for the next: a third, after two seconds of remunge (measured).
      await daemon.stop()
      await daemon.start()
      const rate = await way.measure()
      if (round >= 0) rates[index]?.push(rate)
    }
  }
  return rates
}

function printRates(ways: readonly Way[], rates: readonly (readonly number[])[]): void {
  const [spawned = 0, paired = 0] = rates.map(findMedian)
  const rows = ways.map(({ name }, index): Row => ({ name, rates: rates[index] ?? [] }))
  process.stdout.write(formatRates(rows, { 'x unmunge': spawned, 'x remunge': paired }))
}

function buildWay(
  name: string,
  parts: {
    readonly makeBatch: (size: number) => Promise<string[]>
    readonly inFlight: number
    readonly call: (credential: string) => Promise<void>
  },
): Way {
  const { makeBatch, inFlight, call } = parts
  let size = FIRST_BATCH
  return {
    name,
    async measure() {
      const rate = await measureRate(await makeBatch(size), inFlight, call)
      size = Math.max(inFlight, Math.min(BATCH_MAX, Math.round(rate * BATCH_SECONDS)))
      return rate
    },
  }
}

async function encodeMany(munged: MungedClient, count: number): Promise<string[]> {
  const made: string[] = []
  await measureRate(Array.from({ length: count }), IN_FLIGHT, async () => {
    made.push(await munged.encode({ ttlSeconds: 5 }))
  })
  return made
}

async function decode(munged: MungedClient, credential: string): Promise<void> {
  const { errorNumber, errorText } = await munged.decode(credential)
  if (errorNumber !== 0) throw new Error(`munged: ${errorText}`)
}

function unmunge(socketPath: string, credential: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('unmunge', [`--socket=${socketPath}`], { stdio: ['pipe', 'pipe', 'inherit'] })
    let told = ''
    child.stdout.setEncoding('latin1').on('data', (text: string) => (told += text))
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0 && told.includes('Success (0)')) resolve()
      else reject(new Error(`unmunge: exit ${String(code)}: ${told}`))
    })
    child.stdin.end(credential)
  })
}

/** Encodes and decodes for a second. @returns pairs per second, as it says itself. */
async function remunge(socketPath: string): Promise<number> {
  const parameters = ['--quiet', '-d', '-T', '8', '-D', '1', '-t', '5', `--socket=${socketPath}`]
  return Number.parseInt(await runProgram('remunge', parameters), 10)
}
