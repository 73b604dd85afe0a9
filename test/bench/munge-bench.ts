/**
 * What a MUNGE credential costs, each way side by side on this machine and in this run, in several rounds because other work
 * disturbs: compare the ratios. Every call counted is a success, of a credential made just before, outside the time taken.
 */

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createMungedSocket } from '../../functions/node/munged-socket.ts'
import { createMungedClient, type MungedClient } from '../../src/munge/munged-client.ts'
import { openDatabase } from '../../src/tokens/database.ts'
import { createLocalReplayGuard, createPostgresReplayGuard } from '../../src/tokens/replay-guard.ts'
import { buildMungeKey, MungeDaemon } from '../support/munge-daemon.ts'
import { runProgram } from '../support/program.ts'
import { measureRate } from './in-flight.ts'
import { measureMemory } from './memory.ts'
import { findMedian, formatRates, type Row } from './rate-table.ts'
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
  const verifier = await VerifierUnderLoad.start(directory, daemon.socketPath)
  try {
    const munged = createMungedClient(createMungedSocket({ path: daemon.socketPath }))
    const makeBatch = (size: number): Promise<string[]> => encodeMany(munged, size)
    if (parameters.includes('--memory')) await measureMemory(verifier, makeBatch)
    else await measureRates(daemon, munged, makeBatch, verifier)
  } finally {
    await verifier.stop()
    await daemon.stop()
  }
}

async function measureRates(
  daemon: MungeDaemon,
  munged: MungedClient,
  makeBatch: (size: number) => Promise<string[]>,
  verifier: VerifierUnderLoad,
): Promise<void> {
  const database = openDatabase(process.env['DATABASE_URL'] ?? '')
  const guard = createPostgresReplayGuard(database.db, {
    clock: Date.now,
    log: { write: () => undefined },
    maySharePromises: true,
  })
  const withLocalGuard = verifier.buildAuthenticate(createLocalReplayGuard(Date.now))
  const withPostgres = verifier.buildAuthenticate(guard)
  const batches = (name: string, inFlight: number, call: (credential: string) => Promise<void>): Way =>
    buildWay(name, makeBatch, inFlight, call)
  const ways = [
    batches('unmunge, a process for each', IN_FLIGHT, (text) => unmunge(daemon.socketPath, text)),
    { name: 'remunge -d -T 8, pairs', measure: () => remunge(daemon.socketPath) },
    batches('socket client, decode', IN_FLIGHT, (text) => decode(munged, text)),
    batches('verifier over HTTP, local guard', CALLS_IN_FLIGHT, (text) =>
      requireAccepted(withLocalGuard, text),
    ),
    batches('verifier over HTTP, Postgres guard', CALLS_IN_FLIGHT, (text) =>
      requireAccepted(withPostgres, text),
    ),
  ]
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
  await database.close()
  const [spawned = 0, paired = 0] = rates.map(findMedian)
  const rows = ways.map(({ name }, index): Row => ({ name, rates: rates[index] ?? [] }))
  process.stdout.write(formatRates(rows, { 'x unmunge': spawned, 'x remunge': paired }))
}

function buildWay(
  name: string,
  makeBatch: (size: number) => Promise<string[]>,
  inFlight: number,
  call: (credential: string) => Promise<void>,
): Way {
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
