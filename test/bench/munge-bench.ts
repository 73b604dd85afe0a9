/**
 * What a MUNGE credential costs, each way side by side on this machine and in this run, in several rounds because other work
 * disturbs: compare the ratios. Every call counted is a success, of a credential made just before, outside the time taken.
 */

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Authenticate } from '../../src/authenticate.ts'
import { createMungedSocket } from '../../functions/node/munged-socket.ts'
import { createMungedClient, type MungedClient } from '../../src/munge/munged-client.ts'
import { openDatabase, type Database } from '../../src/tokens/database.ts'
import { createLocalReplayGuard, createPostgresReplayGuard } from '../../src/tokens/replay-guard.ts'
import { buildMungeKey, MungeDaemon } from '../support/munge-daemon.ts'
import { runProgram } from '../support/program.ts'
import { measureRate } from './in-flight.ts'
import { measureMemory } from './memory.ts'
import { findMedian, formatRates, type Row } from './rate-table.ts'
import { makeSigningSettings } from './signing-settings.ts'
import { requireAccepted, VerifierUnderLoad } from './verifier-under-load.ts'

const IN_FLIGHT = 8
/** What a busy gateway has under way at once. */
const CALLS_IN_FLIGHT = 32
const ROUNDS = 5
const WARM_UP_ROUNDS = 2
/** A difference of some hundredths: of these the median, first one way and then the other one first. */
const SIGNING_ROUNDS = 16
const BATCH_MAX = 10_000
/** Credentials live 5 s: a batch is no larger than what the last one's rate uses up in this time. */
const BATCH_SECONDS = 1.5
const FIRST_BATCH = 1_000

interface Way {
  readonly name: string
  measure(): Promise<Measured>
}

interface Measured {
  /** Calls per second. */
  readonly rate: number
  /** CPU time of both ends for a call, in milliseconds; 0 where it is not known. */
  readonly cost: number
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
  const database = openDatabase(databaseUrl)
  try {
    const munged = createMungedClient(createMungedSocket({ path: daemon.socketPath }))
    const makeBatch = (size: number): Promise<string[]> => encodeMany(munged, size)
    if (parameters.includes('--memory')) await measureMemory(verifier, makeBatch)
    else {
      const ways = buildWays({ daemon, munged, makeBatch, verifier, signer, database: database.db })
      printRates(ways, await measureRates(daemon, ways))
      printSigning(await measureSigning(daemon, ways))
    }
  } finally {
    await database.close()
    await verifier.stop()
    await signer.stop()
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
  readonly database: Database
}

const WITHOUT_SIGNER = 'verifier over HTTP, Postgres guard'
const WITH_SIGNER = 'verifier that signs, Postgres guard'

function buildWays({ daemon, munged, makeBatch, verifier, signer, database }: Stand): readonly Way[] {
  const log = { write: () => undefined }
  const guard = createPostgresReplayGuard(database, { clock: Date.now, log, maySharePromises: true })
  const withLocalGuard = verifier.buildAuthenticate(createLocalReplayGuard(Date.now))
  const withPostgres = verifier.buildAuthenticate(guard)
  const withSigner = signer.buildAuthenticate(guard)
  const decodes = (name: string, call: (credential: string) => Promise<void>): Way =>
    buildWay(name, { makeBatch, inFlight: IN_FLIGHT, call, findCpu: () => 0 })
  const asks = (name: string, asked: VerifierUnderLoad, authenticate: Authenticate): Way =>
    buildWay(name, {
      makeBatch,
      inFlight: CALLS_IN_FLIGHT,
      call: (text) => requireAccepted(authenticate, text),
      findCpu: () => asked.findCpuMilliseconds(),
    })
  return [
    decodes('unmunge, a process for each', (text) => unmunge(daemon.socketPath, text)),
    {
      name: 'remunge -d -T 8, pairs',
      measure: async () => ({ rate: await remunge(daemon.socketPath), cost: 0 }),
    },
    decodes('socket client, decode', (text) => decode(munged, text)),
    asks('verifier over HTTP, local guard', verifier, withLocalGuard),
    asks(WITHOUT_SIGNER, verifier, withPostgres),
    asks(WITH_SIGNER, signer, withSigner),
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
      const { rate } = await measureAlone(daemon, way)
      if (round >= 0) rates[index]?.push(rate)
    }
  }
  return rates
}

async function measureAlone(daemon: MungeDaemon, way: Way): Promise<Measured> {
  // What it remembers of one way would slow it for the next: a third, after two seconds of remunge (measured).
  await daemon.stop()
  await daemon.start()
  return way.measure()
}

interface Pair {
  readonly plain: Measured
  readonly signed: Measured
}

async function measureSigning(daemon: MungeDaemon, ways: readonly Way[]): Promise<readonly Pair[]> {
  const findWay = (wanted: string): Way => {
    const found = ways.find(({ name }) => name === wanted)
    if (found === undefined) throw new TypeError(`no way is called ${wanted}`)
    return found
  }
  const pairs: Pair[] = []
  for (let round = 0; round < SIGNING_ROUNDS; round += 1) {
    const isPlainFirst = round % 2 === 0
    const [first, second] = isPlainFirst ? [WITHOUT_SIGNER, WITH_SIGNER] : [WITH_SIGNER, WITHOUT_SIGNER]
    const one = await measureAlone(daemon, findWay(first))
    const other = await measureAlone(daemon, findWay(second))
    pairs.push(isPlainFirst ? { plain: one, signed: other } : { plain: other, signed: one })
  }
  return pairs
}

function printRates(ways: readonly Way[], rates: readonly (readonly number[])[]): void {
  const [spawned = 0, paired = 0] = rates.map(findMedian)
  const rows = ways.map(({ name }, index): Row => ({ name, rates: rates[index] ?? [] }))
  process.stdout.write(formatRates(rows, { 'x unmunge': spawned, 'x remunge': paired }))
}

/** Round by round: what disturbs both ways of one round disturbs the ratio least. */
function printSigning(pairs: readonly Pair[]): void {
  const rate = findMedian(pairs.map(({ plain, signed }) => signed.rate / plain.rate))
  const cost = findMedian(pairs.map(({ plain, signed }) => signed.cost / plain.cost))
  const [signedCost, plainCost] = [
    findMedian(pairs.map(({ signed }) => signed.cost)),
    findMedian(pairs.map(({ plain }) => plain.cost)),
  ].map((milliseconds) => Math.round(milliseconds * 1000))
  process.stdout.write(
    `signing, medians of ${String(pairs.length)} rounds: ${rate.toFixed(2)} x the rate without it; ` +
      `${cost.toFixed(3)} x the CPU time of gateway and verifier (${String(signedCost)} µs a call, ${String(plainCost)} µs without it)\n`,
  )
}

function buildWay(
  name: string,
  parts: {
    readonly makeBatch: (size: number) => Promise<string[]>
    readonly inFlight: number
    readonly call: (credential: string) => Promise<void>
    readonly findCpu: () => number
  },
): Way {
  const { makeBatch, inFlight, call, findCpu } = parts
  let size = FIRST_BATCH
  return {
    name,
    async measure() {
      const batch = await makeBatch(size)
      const before = findCpu()
      const rate = await measureRate(batch, inFlight, call)
      const cost = (findCpu() - before) / batch.length
      size = Math.max(inFlight, Math.min(BATCH_MAX, Math.round(rate * BATCH_SECONDS)))
      return { rate, cost }
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
