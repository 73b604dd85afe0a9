/**
 * The gateway's side of the verifier: believes nothing but a signed answer to exactly its own request. Each question
 * is asked once, for a credential that was decoded is used up.
 */

import { readAll } from '../byte-stream.ts'
import type { ClientAddress, Clock, MungeIdentity, MungeVerifier, RandomBytes } from '../ports.ts'
import { Outage, refuse, type Refusal } from '../refusal.ts'
import { parseCredentialString } from './credential-string.ts'
import { createGatewayEnd, type ExchangeKeys } from './exchange.ts'
import type { Verdict } from './verdict.ts'

/** The runtime's `fetch`, as far as it is used. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>

export interface RemoteVerifierParts {
  /** `MUNGE_VERIFIER_URL`. */
  readonly url: URL
  readonly keys: ExchangeKeys
  readonly fetch: Fetch
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  /** Until the answer has arrived whole. Default 5,000. */
  readonly timeoutMilliseconds?: number
}

/** Signed answers are under 1 KiB. */
const ANSWER_MAX_BYTES = 8 * 1024
const TIMEOUT_MILLISECONDS = 5000

export function createRemoteVerifier(parts: RemoteVerifierParts): MungeVerifier {
  const end = createGatewayEnd(parts)
  const url = `${parts.url.href.replace(/\/$/, '')}/verify`

  async function ask(credential: string | null, client: ClientAddress | null): Promise<Verdict> {
    const pending = await end.signRequest(credential, client)
    const body = JSON.stringify({ ...(credential !== null && { credential }), request: pending.jws })
    const answer = await post(parts, url, body)
    const verdict = await end.openAnswer(answer, pending)
    if (verdict.kind === 'disbelieved') {
      throw unavailable(`its answer is not believed (${verdict.reason}); check MUNGE_VERIFIER_KEY and clocks`)
    }
    if (verdict.kind === 'outage')
      throw new Outage(verdict.rule, 'reported by the MUNGE verifier; see its log')
    return verdict
  }

  async function verify(raw: string, client: ClientAddress): Promise<MungeIdentity | Refusal> {
    const credential = await parseCredentialString(raw)
    if (credential === null) return refuse('munge_malformed')
    const verdict = await ask(credential.text, client)
    if (verdict.kind === 'refusal') return verdict.refusal
    if (verdict.kind !== 'identity' || verdict.identity.credentialDigest !== credential.digest) {
      throw unavailable('its answer is about something else')
    }
    return verdict.identity
  }

  async function check(): Promise<void> {
    const verdict = await ask(null, null)
    if (verdict.kind !== 'ready') throw unavailable('its answer is about something else')
  }

  return { verify, check }
}

/** @returns the text of a 200 answer. @throws Outage `verifier_unavailable` */
async function post(parts: RemoteVerifierParts, url: string, body: string): Promise<string> {
  try {
    const response = await parts.fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      redirect: 'manual',
      signal: AbortSignal.timeout(parts.timeoutMilliseconds ?? TIMEOUT_MILLISECONDS),
    })
    if (response.status !== 200) {
      await response.body?.cancel()
      const hint = response.status === 401 ? '; check MUNGE_VERIFIER_KEY and clocks on both sides' : ''
      throw unavailable(`status ${response.status}${hint}`)
    }
    const bytes = await readAll(response.body, ANSWER_MAX_BYTES)
    if (bytes === null) throw unavailable('its answer is too long')
    return new TextDecoder().decode(bytes)
  } catch (cause) {
    throw cause instanceof Outage ? cause : unavailable(describe(cause), cause)
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
