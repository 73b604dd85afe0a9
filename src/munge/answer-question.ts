/**
 * What the verifier answers to the body of one `POST /verify`, whichever server read it. Nothing but a genuine request
 * reaches munged, and uses up the room that there is for such: to anybody else this is not an oracle.
 */

import { RATE_RETRY_AFTER_SECONDS } from '../limits.ts'
import type { Clock, Log } from '../ports.ts'
import { buildFullBucket, takeRequest } from '../rate-bucket.ts'
import { isRefusal, Outage } from '../refusal.ts'
import type { SealAnswer } from '../signer/answer-key.ts'
import type { Signer } from '../signer/signer.ts'
import { createSparingLine, type SparingLine } from '../sparing-line.ts'
import { isObject } from './exchange-signature.ts'
import type { GenuineRequest, VerifierEnd } from './exchange.ts'
import { buildVerdict, type Verdict } from './verdict.ts'
import type { CredentialVerifier, SignIdentity } from './verify-credential.ts'

/** A credential of 8 KiB and its signed request fit. */
export const QUESTION_MAX_BYTES = 16 * 1024
const READINESS_FRESH_MILLISECONDS = 1000

export interface QuestionAnswererParts {
  readonly end: VerifierEnd
  /** Writes the decision to the log itself, with the signer's on a MUNGE credential. */
  readonly verifier: CredentialVerifier
  /** Writes all others of its own. null: nothing is signed here. */
  readonly signer: Signer | null
  /** `VERIFIER_RATE_LIMIT_PER_SECOND`: genuine questions about a credential; 0: any number. */
  readonly questionsPerSecond: number
  readonly clock: Clock
  readonly log: Log
}

export interface QuestionAnswer {
  readonly status: 200 | 401 | 429 | 500
  readonly text: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface QuestionAnswerer {
  /** Never throws. @param body untrusted, at most QUESTION_MAX_BYTES. */
  answer(body: string): Promise<QuestionAnswer>
  /** munged, the name service and, where it signs, the token store, asked at most once a second. @throws a bug */
  findReadiness(): Promise<Verdict>
}

export function createQuestionAnswerer(parts: QuestionAnswererParts): QuestionAnswerer {
  const { end, log } = parts
  const findReadiness = createReadiness(parts)
  const takeRoom = createRoom(parts)
  const logDisbelief = createSparingLine(log, 'warn', 'verifier_request_refused')
  const logExcess = createSparingLine(log, 'warn', 'verifier_overloaded')
  const openSigner = createSignerOpening(parts.signer, createSparingLine(log, 'warn', 'signer_cannot_answer'))

  /** Of the verifier; of the signer too where a Slurm token could be asked for. */
  async function prove({ answerKey, nonce }: GenuineRequest): Promise<Verdict> {
    const readiness = await findReadiness()
    if (answerKey === null || readiness.kind !== 'ready') return readiness
    const opened = await openSigner(answerKey)
    return opened === 'unknown'
      ? { kind: 'keyUnknown' }
      : { kind: 'signs', proof: (await opened.seal(nonce)).jwe }
  }

  async function judge(body: string): Promise<QuestionAnswer> {
    const question = parseQuestion(body)
    if (question === null) return UNAUTHORIZED
    const request = await end.openRequest(question.request, question.credential, question.encrypted)
    if (request.kind === 'disbelieved') {
      logDisbelief({ reason: request.reason })
      return UNAUTHORIZED
    }
    if (question.credential === null && question.encrypted === null) {
      return { status: 200, text: await end.signAnswer(request, await prove(request).catch(buildOutage)) }
    }
    if (!takeRoom()) {
      logExcess({ questionsPerSecond: parts.questionsPerSecond })
      return OVERLOADED
    }
    const verdict = await decide(parts.verifier, openSigner, question, request).catch(buildOutage)
    return { status: 200, text: await end.signAnswer(request, verdict) }
  }

  return {
    findReadiness,
    async answer(body) {
      const answered = await judge(body).catch((error: unknown) => {
        log.write('error', 'verifier_failed', { detail: error instanceof Error ? error.message : 'unknown' })
        return FAILED
      })
      // No answer before its line is in the log.
      const written = log.whenWritten?.() ?? null
      if (written !== null) await written
      return answered
    },
  }
}

const UNAUTHORIZED: QuestionAnswer = { status: 401, text: 'unauthorized\n' }
/** Unsigned, for it says no more than that nobody was asked: to a gateway every answer but a signed one is an outage. */
const OVERLOADED: QuestionAnswer = {
  status: 429,
  text: 'too many questions\n',
  headers: { 'retry-after': String(RATE_RETRY_AFTER_SECONDS) },
}
const FAILED: QuestionAnswer = { status: 500, text: 'internal error\n' }

/** @returns whether there is room for one more, which it takes. */
function createRoom({
  questionsPerSecond,
  clock,
}: Pick<QuestionAnswererParts, 'questionsPerSecond' | 'clock'>): () => boolean {
  if (questionsPerSecond === 0) return () => true
  const bucket = buildFullBucket()
  return () => takeRequest(bucket, questionsPerSecond, clock())
}

async function decide(
  verifier: CredentialVerifier,
  openSigner: SignerOpening,
  { credential, encrypted }: Question,
  { client, nonce, answerKey }: GenuineRequest,
): Promise<Verdict> {
  // Asked for in vain, or with a key that is not known by its name, the credential is not used up.
  const opened = answerKey === null ? null : await openSigner(answerKey)
  if (opened === 'unknown') return { kind: 'keyUnknown' }
  if (credential !== null && client !== null) {
    const sign = opened === null ? undefined : buildSign(opened)
    return buildVerdict(await verifier.verify(credential, client, sign))
  }
  if (opened === null || answerKey === null || encrypted === null)
    throw new TypeError('a genuine request about an API token has both')
  const signed = await opened.signer.signForToken(encrypted, { nonce, answerKey }, opened.seal)
  return isRefusal(signed) ? { kind: 'refusal', refusal: signed } : { kind: 'signed', signed }
}

/** Who signs, and how what is signed goes to who asked. */
interface OpenedSigner {
  readonly signer: Signer
  readonly seal: SealAnswer
}

function buildSign({ signer, seal }: OpenedSigner): SignIdentity {
  return (identity) => signer.signForMunge(identity, seal)
}

/** @returns `unknown`: a name of a key that is not kept here. @throws Outage `signer_unavailable`, with its line in the log */
type SignerOpening = (answerKey: string) => Promise<OpenedSigner | 'unknown'>

function createSignerOpening(signer: Signer | null, logUnable: SparingLine): SignerOpening {
  return async function openSigner(answerKey) {
    const seal = (await signer?.openAnswerKey(answerKey)) ?? null
    if (seal === 'unknown') return seal
    if (signer !== null && seal !== null) return { signer, seal }
    const detail =
      signer === null
        ? 'this verifier signs nothing: VERIFIER_SIGNS=no'
        : 'asked with another SIGNER_PUBLIC_KEY than that of SIGNER_PRIVATE_KEY_FILE'
    logUnable({ detail })
    throw new Outage('signer_unavailable', detail)
  }
}

/** Concurrent questions share one answer, and its age is bounded. */
function createReadiness({
  verifier,
  signer,
  clock,
}: Pick<QuestionAnswererParts, 'verifier' | 'signer' | 'clock'>): () => Promise<Verdict> {
  let answer: Promise<Verdict> | null = null
  let askedAt = 0
  async function ask(): Promise<Verdict> {
    try {
      await Promise.all([verifier.check(), signer?.check()])
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

interface Question {
  readonly request: string
  readonly credential: string | null
  readonly encrypted: string | null
}

/** @returns null unless the body is JSON with a text `request` and at most one of `credential` and `encrypted`. */
function parseQuestion(text: string): Question | null {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    return null
  }
  if (!isObject(body)) return null
  const { request, credential = null, encrypted = null } = body
  if (typeof request !== 'string') return null
  if (credential !== null && typeof credential !== 'string') return null
  if (encrypted !== null && typeof encrypted !== 'string') return null
  return credential !== null && encrypted !== null ? null : { request, credential, encrypted }
}
