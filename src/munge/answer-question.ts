/**
 * What the verifier answers to the body of one `POST /verify`, whichever server read it. Nothing but a genuine request
 * reaches munged: to anybody else this is not an oracle.
 */

import type { ClientAddress, Clock, Log, MungeVerifier } from '../ports.ts'
import { Outage } from '../refusal.ts'
import { isObject } from './exchange-signature.ts'
import type { VerifierEnd } from './exchange.ts'
import { buildVerdict, type Verdict } from './verdict.ts'

/** A credential of 8 KiB and its signed request fit. */
export const QUESTION_MAX_BYTES = 16 * 1024
const READINESS_FRESH_MILLISECONDS = 1000

export interface QuestionAnswererParts {
  readonly end: VerifierEnd
  /** Writes the decision to the log itself. */
  readonly verifier: MungeVerifier
  readonly clock: Clock
  readonly log: Log
}

export interface QuestionAnswer {
  readonly status: 200 | 401 | 500
  readonly text: string
}

export interface QuestionAnswerer {
  /** Never throws. @param body untrusted, at most QUESTION_MAX_BYTES. */
  answer(body: string): Promise<QuestionAnswer>
  /** munged and the name service, asked at most once a second. @throws a bug */
  findReadiness(): Promise<Verdict>
}

export function createQuestionAnswerer(parts: QuestionAnswererParts): QuestionAnswerer {
  const { end, verifier, log } = parts
  const findReadiness = createReadiness(verifier, parts.clock)

  async function judge(body: string): Promise<QuestionAnswer> {
    const question = parseQuestion(body)
    if (question === null) return UNAUTHORIZED
    const request = await end.openRequest(question.request, question.credential)
    if (request.kind === 'disbelieved') {
      log.write('warn', 'verifier_request_refused', { reason: request.reason })
      return UNAUTHORIZED
    }
    const verdict =
      question.credential === null || request.client === null
        ? await findReadiness()
        : await decide(verifier, question.credential, request.client)
    return { status: 200, text: await end.signAnswer(request, verdict) }
  }

  return {
    findReadiness,
    answer: (body) =>
      judge(body).catch((error: unknown) => {
        log.write('error', 'verifier_failed', { detail: error instanceof Error ? error.message : 'unknown' })
        return FAILED
      }),
  }
}

const UNAUTHORIZED: QuestionAnswer = { status: 401, text: 'unauthorized\n' }
const FAILED: QuestionAnswer = { status: 500, text: 'internal error\n' }

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
function parseQuestion(text: string): { request: string; credential: string | null } | null {
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
