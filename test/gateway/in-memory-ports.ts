/** Small stand-ins for what a runtime hands in, and short ways to write principals, operations and streams. */

import { findOperation, parseSegments, type Operation } from '../../src/operation.ts'
import type { Log, LogLevel, UpstreamAnswer } from '../../src/ports.ts'
import type { MungePrincipal, Scope, TokenPrincipal } from '../../src/principal.ts'
import { isRefusal, Outage, type Refusal, type Rule } from '../../src/refusal.ts'

export interface LogLine {
  readonly level: LogLevel | 'audit'
  readonly event: string
  readonly fields: Readonly<Record<string, unknown>>
}

export function createMemoryLog(): Log & { readonly lines: LogLine[] } {
  const lines: LogLine[] = []
  return { lines, write: (level, event, fields) => void lines.push({ level, event, fields }) }
}

export const MUNGE_ALICE: MungePrincipal = {
  method: 'munge',
  slurmUser: 'alice',
  uid: 1001,
  boundDigest: null,
  slurmToken: null,
}

export function buildToken(scopes: readonly Scope[], account: string | null = null): TokenPrincipal {
  return {
    method: 'token',
    slurmUser: 'alice',
    tokenId: 'tok_test',
    tokenName: 'test',
    scopes: new Set(scopes),
    account,
    expiresAt: null,
    uid: 1001,
    policyVersion: 1,
    presented: null,
  }
}

export const ALL_VERSIONS = [36, 37, 38, 39, 40, 41, 42, 43, 44, 45] as const

/** As a runtime does it: the URL parser first. */
export function parsePath(path: string): readonly string[] | null {
  return parseSegments(new URL(`http://gate.invalid${path}`).pathname)
}

/** @throws where the call is refused. */
export function requireOperation(method: string, path: string): Operation {
  const found = findOperation({ method, segments: parsePath(path) }, MUNGE_ALICE, ALL_VERSIONS)
  if (isRefusal(found)) throw new Error(`${method} ${path} is ${found.rule}`)
  return found
}

/** The rule of a refusal, or the kind of what was made. */
export function ruleOf(result: Refusal | { readonly kind: string } | null): string | null {
  return result === null ? null : 'rule' in result ? result.rule : result.kind
}

/** The rule of the outage that is thrown; `none` where nothing is. */
export async function outageOf(work: () => Promise<unknown>): Promise<Rule | 'none'> {
  try {
    await work()
    return 'none'
  } catch (cause) {
    if (cause instanceof Outage) return cause.rule
    throw cause
  }
}

export function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text)
}

export interface WatchedStream {
  readonly stream: ReadableStream<Uint8Array>
  /** Pieces that were asked for, and whether the reader gave up. */
  readonly watch: { pulled: number; isCancelled: boolean }
}

/** Gives the pieces one at a time; an Error among them is where the stream breaks. */
export function createStream(pieces: readonly (Uint8Array | string | Error)[]): WatchedStream {
  const queue = [...pieces]
  const watch = { pulled: 0, isCancelled: false }
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const piece = queue.shift()
        if (piece === undefined) controller.close()
        else if (piece instanceof Error) controller.error(piece)
        else {
          watch.pulled += 1
          controller.enqueue(typeof piece === 'string' ? encode(piece) : piece)
        }
      },
      cancel() {
        watch.isCancelled = true
      },
    },
    { highWaterMark: 0 },
  )
  return { stream, watch }
}

/** As a runtime's client does: tells once when the answer is over or given up. */
export function watchEnd(stream: ReadableStream<Uint8Array>, onEnd: () => void): ReadableStream<Uint8Array> {
  const reader = stream.getReader()
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await reader.read()
      if (!done) {
        controller.enqueue(value)
        return
      }
      controller.close()
      onEnd()
    },
    async cancel(reason) {
      onEnd()
      await reader.cancel(reason)
    },
  })
}

export function buildAnswer(
  status: number,
  body: unknown,
  contentType: string | null = 'application/json',
): UpstreamAnswer {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return { status, contentType, contentLength: encode(text).length, body: createStream([text]).stream }
}

export function buildSlurmErrors(...numbers: readonly number[]): unknown {
  return {
    errors: numbers.map((error_number) => ({ error_number, error: 'x', description: 'y', source: 'z' })),
  }
}
