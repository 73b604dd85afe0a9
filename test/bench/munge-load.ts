/**
 * The load of the MUNGE row, a process of an ordinary user's: makes credentials in batches, outside the time taken, and sends
 * each once. Prints what it measured as JSON.
 */

import { createMungedSocket } from '../../functions/node/munged-socket.ts'
import { createMungedClient, type MungedClient } from '../../src/munge/munged-client.ts'
import { measureRate } from './in-flight.ts'
import { buildGet, KeepAliveClient } from './keep-alive-client.ts'

export interface MungeLoad {
  readonly socketPath: string
  readonly port: number
  readonly target: string
  readonly connections: number
  readonly batches: number
}

export interface MungeMeasured {
  /** Of each batch. */
  readonly rates: readonly number[]
  readonly sent: number
  /** How many were refused, by rule. */
  readonly refused: Readonly<Record<string, number>>
}

/** Credentials live 5 s: what a batch has left by then is not sent, and the next one is as large as the rate allows. */
const BATCH_SECONDS = 1.5
const FRESH_MILLISECONDS = 3_500
const FIRST_BATCH = 1_000
const WARM_UP_BATCHES = 3
const ENCODERS = 8

export async function runMungeLoad(load: MungeLoad): Promise<void> {
  const munged = createMungedClient(createMungedSocket({ path: load.socketPath }))
  const connections = Array.from({ length: load.connections }, () => KeepAliveClient.open(load.port))
  const clients = await Promise.all(connections)
  const rates: number[] = []
  const refused: Record<string, number> = {}
  let [size, sent] = [FIRST_BATCH, 0]
  for (let batch = -WARM_UP_BATCHES; batch < load.batches; batch += 1) {
    const madeAt = performance.now()
    const credentials = await encodeMany(munged, size)
    const startedAt = performance.now()
    const results = await Promise.all(
      clients.map((client) =>
        sendUntil(madeAt + FRESH_MILLISECONDS, client, load.target, credentials, refused),
      ),
    )
    const count = results.reduce((sum, each) => sum + each, 0)
    const rate = (count * 1000) / (performance.now() - startedAt)
    sent += count
    if (batch >= 0) rates.push(rate)
    size = Math.max(load.connections, Math.round(rate * BATCH_SECONDS))
  }
  for (const client of clients) client.close()
  process.stdout.write(JSON.stringify({ rates, sent, refused } satisfies MungeMeasured))
}

async function encodeMany(munged: MungedClient, count: number): Promise<string[]> {
  const made: string[] = []
  await measureRate(Array.from({ length: count }), ENCODERS, async () => {
    made.push(await munged.encode({ ttlSeconds: 5 }))
  })
  return made
}

/** Takes from `credentials` what it sends. @returns how many that were. */
async function sendUntil(
  endsAt: number,
  client: KeepAliveClient,
  target: string,
  credentials: string[],
  refused: Record<string, number>,
): Promise<number> {
  let count = 0
  while (performance.now() < endsAt) {
    const credential = credentials.pop()
    if (credential === undefined) break
    let body = ''
    const request = buildGet(target, { Authorization: `MUNGE ${credential}` })
    const { status } = await client.ask(request, (piece) => (body += piece.toString('latin1')))
    count += 1
    if (status === 200) continue
    const rule = /"error":"(\w+)"/.exec(body)?.[1] ?? String(status)
    refused[rule] = (refused[rule] ?? 0) + 1
  }
  return count
}
