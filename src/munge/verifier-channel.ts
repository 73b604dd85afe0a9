/**
 * Carries questions to the verifier and believes nothing but a signed answer to exactly the question asked. Each is sent
 * once, for a credential that was decoded is used up.
 */

import { readAll } from '../byte-stream.ts'
import type { WatchClock } from '../clock-alarm.ts'
import { VERIFIER_HOP, type ServiceHeaders } from '../hop-settings.ts'
import type { Clock, RandomBytes } from '../ports.ts'
import { Outage, type OutageRule } from '../refusal.ts'
import type { EncryptionKey } from '../signer/encryption-key.ts'
import { createGatewayEnd, type ExchangeKeys, type GatewayEnd, type PendingRequest } from './exchange.ts'
import type { Sha256 } from './sha256.ts'
import type { OpenedVerdict } from './open-verdict.ts'

/** The runtime's `fetch`, as far as it is used. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>

/**
 * Sends one question, once: no redirect is followed, nothing repeated.
 * @returns the answer whole; its text is null where it is longer than `maxBytes`, which are all that is kept of it.
 * @throws what kept the answer from coming within `timeoutMilliseconds`.
 */
export type Post = (
  url: string,
  body: string,
  options: {
    readonly headers: ServiceHeaders
    readonly maxBytes: number
    readonly timeoutMilliseconds: number
  },
) => Promise<{ readonly status: number; readonly text: string | null }>

export interface VerifierChannelParts {
  /** `MUNGE_VERIFIER_URL`. */
  readonly url: URL
  readonly keys: ExchangeKeys
  /** Go with every question, whoever carries it. Default: none. */
  readonly serviceHeaders?: ServiceHeaders
  readonly fetch: Fetch
  /** Carries questions in place of `fetch`, where the runtime has something lighter. */
  readonly post?: Post
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  /** Default: WebCrypto. */
  readonly sha256?: Sha256
  /** Told of the verifier's clock with each answer. */
  readonly watchClock?: WatchClock
  /** Of the signer; null, the default: no Slurm token is asked for. */
  readonly encryptionKey?: EncryptionKey | null
  /** Until the answer has arrived whole. Default 5,000. */
  readonly timeoutMilliseconds?: number
}

/** Signed answers are under 1 KiB, and some 2 KiB with a Slurm token by RS256. */
const ANSWER_MAX_BYTES = 8 * 1024
const TIMEOUT_MILLISECONDS = 5000

export interface VerifierChannel {
  readonly end: GatewayEnd
  /**
   * @param pending made by `end`. @param about what goes with it.
   * @throws Outage `verifier_unavailable`, `verifier_overloaded`, and what the verifier reports.
   */
  ask(
    pending: PendingRequest,
    about: { readonly credential?: string; readonly encrypted?: string },
  ): Promise<Exclude<OpenedVerdict, { kind: 'outage' }>>
  /** @throws Outage when the verifier, or what it needs, does not answer. */
  check(): Promise<void>
  /** @throws Outage unless it also signs for this gateway: it has the key that `encryptionKey` is of, and its store answers. */
  checkSigner(): Promise<void>
}

export function createVerifierChannel(parts: VerifierChannelParts): VerifierChannel {
  const end = createGatewayEnd(parts)
  const url = `${parts.url.href.replace(/\/$/, '')}/verify`
  const post = parts.post ?? createFetchPost(parts.fetch)
  const options = {
    headers: parts.serviceHeaders ?? {},
    maxBytes: ANSWER_MAX_BYTES,
    timeoutMilliseconds: parts.timeoutMilliseconds ?? TIMEOUT_MILLISECONDS,
  }
  const ask: VerifierChannel['ask'] = async (pending, about) => {
    const { credential, encrypted } = about
    const body = JSON.stringify({ credential, encrypted, request: pending.jws })
    const answer = await readAnswer(post, url, body, options)
    const verdict = await end.openAnswer(answer, pending)
    if (verdict.kind === 'disbelieved') {
      throw unavailable(
        `its answer is not believed (${verdict.reason}); check MUNGE_VERIFIER_KEY, clocks, and that both ends are of one version`,
      )
    }
    if (verdict.kind === 'outage') throw new Outage(verdict.rule, describeReport(verdict.rule))
    return verdict
  }
  return {
    end,
    ask,
    async check() {
      const verdict = await ask(await end.signRequest(null, null), {})
      if (verdict.kind !== 'ready') throw buildMisfit()
    },
    async checkSigner() {
      const verdict = await ask(await end.signRequest(null, null, 'whole'), {})
      if (verdict.kind !== 'signs') throw buildMisfit()
    },
  }
}

function describeReport(rule: OutageRule): string {
  const hint =
    rule === 'signer_unavailable'
      ? 'check VERIFIER_SIGNS there, and that SIGNER_PUBLIC_KEY is of its SIGNER_PRIVATE_KEY_FILE; '
      : ''
  return `reported by the MUNGE verifier; ${hint}see its log`
}

/** What was answered does not fit what was asked. */
export function buildMisfit(): Outage {
  return unavailable('its answer is about something else')
}

const OVERLOADED = 'MUNGE verifier: status 429, more questions than its VERIFIER_RATE_LIMIT_PER_SECOND'

/** @returns the text of a 200 answer. @throws Outage `verifier_unavailable`, `verifier_overloaded` */
async function readAnswer(
  post: Post,
  url: string,
  body: string,
  options: Parameters<Post>[2],
): Promise<string> {
  try {
    const { status, text } = await post(url, body, options)
    if (status === 429) throw new Outage('verifier_overloaded', OVERLOADED)
    if (status !== 200) {
      throw unavailable(`status ${status}${findHint(status)}`)
    }
    if (text === null) throw unavailable('its answer is too long')
    return text
  } catch (cause) {
    throw cause instanceof Outage ? cause : unavailable(describe(cause), cause)
  }
}

/** The verifier itself neither redirects nor answers 403: who does stands before it. */
function findHint(status: number): string {
  if (status === 401) return '; check MUNGE_VERIFIER_KEY, clocks, and that both sides are of one version'
  const { clientId, clientSecret, certificate } = VERIFIER_HOP
  const isOfProxy = status === 403 || (status >= 300 && status < 400)
  return isOfProxy ? `, not from the verifier; check ${clientId}, ${clientSecret} or ${certificate}` : ''
}

function createFetchPost(fetch: Fetch): Post {
  return async (url, body, { headers, maxBytes, timeoutMilliseconds }) => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body,
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMilliseconds),
    })
    const { status } = response
    if (status !== 200) {
      await response.body?.cancel()
      return { status, text: null }
    }
    const bytes = await readAll(response.body, maxBytes)
    return { status, text: bytes === null ? null : new TextDecoder().decode(bytes) }
  }
}

/** Node's fetch tells the reason (`ECONNREFUSED`, a certificate) one `cause` further down. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return 'no answer'
  const reason = error.cause instanceof Error ? ` (${error.cause.message})` : ''
  return `${error.name}: ${error.message}${reason}`
}

function unavailable(detail: string, cause?: unknown): Outage {
  return new Outage('verifier_unavailable', `MUNGE verifier: ${detail}`, { cause })
}
