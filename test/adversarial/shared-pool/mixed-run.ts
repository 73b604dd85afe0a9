/** Many clients that ask at once, each on a connection that it keeps: what they were answered, counted and judged. */

import { findHeader, findHeaders, type RawAnswer, type RawRequest } from '../../support/raw-http.ts'
import { sleep } from '../../support/program.ts'
import type { Target } from '../../support/gateway-target.ts'
import type { Identity } from './identities.ts'
import { judge, judgeNames, type Expected } from './judge.ts'
import { KeptClient } from './kept-client.ts'
import { buildQuestion, type Question } from './question.ts'

export interface MixedFigures {
  /** Questions, each of which was answered, or left by its client. */
  asked: number
  /** Of them, by kind and status (`left`: no whole answer was taken). */
  readonly byKind: Map<string, number>
  /** Answers by what `X-Cache` says. */
  readonly byCache: Map<string, number>
  /** 503 `overloaded`: asked again, and not counted as asked. */
  overloaded: number
  /** Clients that left with a part of the answer in hand. */
  leftWithin: number
  /** Answers that were judged as another request's as well, and how many of these the judge took for that one's own. */
  swapped: number
  swapsMissed: number
  /** Requests whose answer was not their own, with all that told so. */
  readonly mixUps: string[]
}

export interface MixedOptions {
  readonly target: Target
  readonly identities: readonly Identity[]
  readonly seed: number
  /** Of the first question: no two runs have the same one. */
  readonly from: number
  readonly count: number
  /** How many ask at once. */
  readonly clients: number
}

const ASK_AGAIN_MILLISECONDS = 20
/** One answer in so many is also judged as if another request had got it. */
const SWAP_EACH = 20

interface Run {
  readonly figures: MixedFigures
  readonly requestIds: Set<string>
  /** Of an answer before, which no other request could have had. */
  last: Expected | null
}

export async function runMixed(options: MixedOptions): Promise<MixedFigures> {
  const run: Run = { figures: buildFigures(), requestIds: new Set(), last: null }
  const { figures } = run
  let next = options.from
  const end = options.from + options.count
  const ask = async (): Promise<void> => {
    const client = new KeptClient(options.target)
    while (next < end) {
      const question = buildQuestion(options.identities, options.seed, next++)
      const problems = await askOnce(client, question, run)
      figures.asked += 1
      if (problems.length > 0) figures.mixUps.push(`${describe(question)}: ${problems.join('; ')}`)
    }
    client.close()
  }
  await Promise.all(Array.from({ length: options.clients }, ask))
  return figures
}

function describe({ kind, request, expected }: Question): string {
  return `${kind}: ${request.method} ${request.target} of ${expected.name}`
}

function buildFigures(): MixedFigures {
  return {
    asked: 0,
    byKind: new Map(),
    byCache: new Map(),
    overloaded: 0,
    leftWithin: 0,
    swapped: 0,
    swapsMissed: 0,
    mixUps: [],
  }
}

async function askOnce(client: KeptClient, question: Question, run: Run): Promise<string[]> {
  const { figures } = run
  const { kind, request, expected, leaves } = question
  try {
    if (leaves !== null) {
      const part = await client.leave(request, leaves)
      figures.leftWithin += part === '' ? 0 : 1
      count(figures.byKind, `${kind}: left`)
      return judgeNames(part, expected)
    }
    const answer = await askUntilServed(client, request, run)
    count(figures.byKind, `${kind}: ${String(answer.status)}`)
    count(figures.byCache, findHeader(answer, 'x-cache') ?? 'none')
    swap(answer, expected, run)
    const { surplus } = client
    const more = surplus.length === 0 ? [] : [`${String(surplus.length)} bytes more than one answer`]
    return [...judgeRequestId(answer, run), ...judge(answer, expected), ...more]
  } catch (cause) {
    client.close()
    return [`no answer: ${cause instanceof Error ? cause.message : String(cause)}`]
  }
}

/** Where nobody waits for a slot (workerd), clients do. */
async function askUntilServed(client: KeptClient, request: RawRequest, { figures }: Run): Promise<RawAnswer> {
  for (;;) {
    const answer = await client.ask(request)
    if (!isOverloaded(answer)) return answer
    figures.overloaded += 1
    await sleep(ASK_AGAIN_MILLISECONDS)
  }
}

/** What a mix-up would look like: it has to be found, or the run proves nothing. */
function swap(answer: RawAnswer, expected: Expected, run: Run): void {
  const { figures, last } = run
  if (figures.asked % SWAP_EACH !== 0 || !isToldApart(expected, last)) return
  run.last = expected
  if (last === null) return
  figures.swapped += 1
  if (judge(answer, last).length === 0) figures.swapsMissed += 1
}

/** By a name or a job's id: the gate's refusals are all alike but for their X-Request-Id, and two may ask for one job. */
function isToldApart({ name, isNamed, error }: Expected, other: Expected | null): boolean {
  if (isNamed) return name !== other?.name
  return error !== null && error.says.includes('JobId=') && error.says !== other?.error?.says
}

function isOverloaded({ status, body }: RawAnswer): boolean {
  return status === 503 && body.toString('utf8').includes('"error":"overloaded"')
}

/** Exactly one, which no other answer has. */
function judgeRequestId(answer: RawAnswer, { requestIds }: Run): string[] {
  const ids = findHeaders(answer, 'x-request-id')
  const [id = ''] = ids
  const isNew = ids.length === 1 && /^[0-9a-f]{32}$/.test(id) && !requestIds.has(id)
  requestIds.add(id)
  return isNew ? [] : [`X-Request-Id is not one of its own: ${ids.join(', ')}`]
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}
