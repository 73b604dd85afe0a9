/**
 * The verifier's HTTP side, for whoever holds the shared key. Nothing but a genuine request reaches munged: to anybody
 * else this is not an oracle. Runs on the cluster, on Node.
 */

import { Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import type { ClientAddress, Clock, Log, MungeVerifier } from '../ports.ts'
import { Outage } from '../refusal.ts'
import { isObject } from './exchange-signature.ts'
import type { VerifierEnd } from './exchange.ts'
import { buildVerdict, type Verdict } from './verdict.ts'

/** A credential of 8 KiB and its signed request fit. */
const BODY_MAX_BYTES = 16 * 1024
const READINESS_FRESH_MILLISECONDS = 1000

export interface VerifierServiceParts {
  readonly end: VerifierEnd
  /** Writes the decision to the log itself. */
  readonly verifier: MungeVerifier
  readonly clock: Clock
  readonly log: Log
}

/**
 * - `POST /verify` `{ credential?, request }`: 200 with the signed answer, 401 for a request that is not genuine.
 * - `GET /healthz`: the process; `GET /readyz`: munged and the name service, asked at most once a second.
 */
export function createVerifierService(parts: VerifierServiceParts): Hono {
  const { end, verifier, log } = parts
  const readiness = createReadiness(verifier, parts.clock)
  const app = new Hono()

  app.post(
    '/verify',
    bodyLimit({ maxSize: BODY_MAX_BYTES, onError: (context) => context.text('too large\n', 413) }),
    async (context) => {
      const body = parseBody(await context.req.text())
      if (body === null) return context.text('unauthorized\n', 401)
      const request = await end.openRequest(body.request, body.credential)
      if (request.kind === 'disbelieved') {
        log.write('warn', 'verifier_request_refused', { reason: request.reason })
        return context.text('unauthorized\n', 401)
      }
      const verdict =
        body.credential === null || request.client === null
          ? await readiness()
          : await decide(verifier, body.credential, request.client)
      return context.text(await end.signAnswer(request, verdict))
    },
  )
  app.get('/healthz', (context) => context.text('ok\n'))
  app.get('/readyz', async (context) => {
    const verdict = await readiness()
    const outage = verdict.kind === 'outage' ? verdict.rule : null
    return context.json({ ready: outage === null, outage }, outage === null ? 200 : 503)
  })
  app.notFound((context) => context.text('not found\n', 404))
  app.onError((error, context) => {
    log.write('error', 'verifier_failed', { detail: error.message })
    return context.text('internal error\n', 500)
  })
  return app
}

async function decide(verifier: MungeVerifier, credential: string, client: ClientAddress): Promise<Verdict> {
  try {
    return buildVerdict(await verifier.verify(credential, client))
  } catch (error) {
    return buildOutage(error)
  }
}

/** Concurrent questions share one answer, and its age is bounded. */
function createReadiness(verifier: MungeVerifier, clock: Clock): () => Promise<Verdict> {
  let answer: Promise<Verdict> | null = null
  let askedAt = 0
  async function ask(): Promise<Verdict> {
    try {
      await verifier.check()
      return { kind: 'ready' }
    } catch (error) {
      return buildOutage(error)
    }
  }
  return function readiness() {
    const now = clock()
    if (answer === null || Math.abs(now - askedAt) >= READINESS_FRESH_MILLISECONDS) {
      answer = ask()
      askedAt = now
    }
    return answer
  }
}

/** @throws what is not an outage: a bug is answered 500, unsigned. */
function buildOutage(error: unknown): Verdict {
  if (error instanceof Outage) return { kind: 'outage', rule: error.rule }
  throw error
}

/** @returns null unless the body is JSON with a text `request` and, if any, a text `credential`. */
function parseBody(text: string): { request: string; credential: string | null } | null {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    return null
  }
  if (!isObject(body)) return null
  const { request, credential = null } = body
  if (typeof request !== 'string') return null
  if (credential !== null && typeof credential !== 'string') return null
  return { request, credential }
}
