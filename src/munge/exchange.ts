/**
 * The two ends of the calls between gateway and verifier. A request is bound to its credential and its client, an
 * answer to its request: nobody without the key can ask (oracle), answer (forgery), reflect a message to its sender
 * or move an answer to another request.
 */

import { encodeBase64 } from '../base64.ts'
import type { WatchClock } from '../clock-alarm.ts'
import { parseAddress } from '../ip-address.ts'
import type { ClientAddress, Clock, RandomBytes } from '../ports.ts'
import {
  ANSWER_KEY_MAX_CHARACTERS,
  createAnswerKeys,
  isKeyName,
  type AnswerKey,
} from '../signer/answer-key.ts'
import type { CallBinding } from '../signer/encrypted-token.ts'
import type { EncryptionKey } from '../signer/encryption-key.ts'
import { parseAnswerText, writeAnswerText } from './answer-text.ts'
import {
  createSignature,
  isObject,
  TO_GATEWAY,
  TO_VERIFIER,
  type Claims,
  type Disbelief,
} from './exchange-signature.ts'
import { openVerdict, type OpenedVerdict } from './open-verdict.ts'
import { webSha256, type Sha256 } from './sha256.ts'
import { findSealed, parseVerdict, writeVerdict, type About, type Verdict } from './verdict.ts'

export type ExchangeKeys = readonly Uint8Array<ArrayBuffer>[]

/** A signed request on its way. */
export interface PendingRequest {
  readonly about: About
  readonly jws: string
  readonly nonce: string
  /** Unix seconds. */
  readonly signedAt: number
  /** What its answer comes encrypted with; null: no Slurm token is asked for. */
  readonly answerKey: AnswerKey | null
  /** Whether that key went by its name alone. */
  readonly isKeyNamed: boolean
}

/** How an answer key goes with a question: `short`: by its name, once the signer has said that it keeps it. */
export type KeySent = 'short' | 'whole'

export interface GatewayEnd {
  /**
   * @param credential the exact string that goes with the request; null: only whether the verifier is ready.
   * @param keySent set where the verifier is to claim the credential and sign for its user, or without a credential to prove
   * that it signs for this gateway, which takes the `whole` key. Default null: nothing is to be signed.
   */
  signRequest(
    credential: string | null,
    client: ClientAddress | null,
    keySent?: KeySent | null,
  ): Promise<PendingRequest>
  /** Asks for a Slurm token for an API token. @param encrypt gets what its result has to be bound to. */
  signTokenRequest(
    encrypt: (binding: CallBinding) => Promise<string>,
  ): Promise<PendingRequest & { readonly encrypted: string }>
  /** @param answer untrusted. @returns why it is not believed, or the verdict on exactly this request. */
  openAnswer(
    answer: string,
    pending: PendingRequest,
  ): Promise<OpenedVerdict | { readonly kind: 'disbelieved'; readonly reason: DisbeliefOfAnswer }>
}

type DisbeliefOfAnswer = Disbelief | 'binding' | 'verdict' | 'encryption'

/** A request that somebody with the key made for this credential and client, or for this encrypted API token. */
export interface GenuineRequest {
  readonly kind: 'genuine'
  /** null: a question without a credential. */
  readonly client: ClientAddress | null
  /**
   * What a Slurm token, or the proof that one is signed here, is to be encrypted with; for a credential it may be the name of a
   * key. Untrusted. null: none is asked for.
   */
  readonly answerKey: string | null
  readonly nonce: string
  readonly jws: string
}

export interface VerifierEnd {
  /** To be called before munged is asked. @param jws untrusted @param credential untrusted @param encrypted untrusted */
  openRequest(
    jws: string,
    credential: string | null,
    encrypted?: string | null,
  ): Promise<GenuineRequest | { readonly kind: 'disbelieved'; readonly reason: Disbelief | 'binding' }>
  /** @returns signed claims, and what goes beside them on a second line. */
  signAnswer(request: GenuineRequest, verdict: Verdict): Promise<string>
}

const NONCE_BYTES = 16
const HOST_ADDRESSES_MAX = 64

interface EndParts {
  readonly keys: ExchangeKeys
  readonly clock: Clock
  /** Default: WebCrypto. */
  readonly sha256?: Sha256
}

export interface GatewayEndParts extends EndParts {
  readonly randomBytes: RandomBytes
  /** Told of the verifier's clock with each answer by a key. */
  readonly watchClock?: WatchClock
  /** The signer's; null, the default: this gateway asks for no Slurm token. */
  readonly encryptionKey?: EncryptionKey | null
}

export function createGatewayEnd(parts: GatewayEndParts): GatewayEnd {
  const { sha256 = webSha256, encryptionKey = null } = parts
  const findAnswerKey =
    encryptionKey === null
      ? () => Promise.reject(new TypeError('to ask for a Slurm token takes the signer’s key'))
      : createAnswerKeys({ ...parts, encryptionKey })
  /** What a signer has said that it keeps, until one says that it does not. */
  const keptKeys = new WeakSet<AnswerKey>()
  const requests = createSignature(parts.keys, TO_VERIFIER, parts.clock, sha256)
  const answers = createSignature(parts.keys, TO_GATEWAY, parts.clock, sha256)
  return {
    async signRequest(credential, client, keySent = null) {
      const nonce = encodeBase64(parts.randomBytes(NONCE_BYTES))
      const answerKey = keySent === null ? null : await findAnswerKey()
      const isKeyNamed = keySent === 'short' && answerKey !== null && keptKeys.has(answerKey)
      const about = credential === null && answerKey !== null ? 'signer' : 'credential'
      const signedAt = parts.clock() / 1000
      const jws = await requests.sign({
        nonce,
        credential: credential === null ? null : await sha256.hashToHex(credential),
        client: client === null ? null : boundClient(client),
        sign: isKeyNamed ? answerKey.name : answerKey?.encrypted,
      })
      return { about, nonce, answerKey, isKeyNamed, signedAt, jws }
    },
    async signTokenRequest(encrypt) {
      const nonce = encodeBase64(parts.randomBytes(NONCE_BYTES))
      const signedAt = parts.clock() / 1000
      const answerKey = await findAnswerKey()
      const sign = answerKey.encrypted
      const encrypted = await encrypt({ nonce, answerKey: sign, madeAt: signedAt })
      const digest = await sha256.hashToHex(encrypted)
      const jws = await requests.sign({ nonce, credential: null, client: null, encrypted: digest, sign })
      return { about: 'token', nonce, encrypted, answerKey, isKeyNamed: false, signedAt, jws }
    },
    async openAnswer(answer, pending) {
      const { jws, sealed } = parseAnswerText(answer)
      const opened = await answers.open(jws)
      if (opened.issuedAt !== undefined) {
        const [askedAt, answeredAt] = [pending.signedAt, parts.clock() / 1000]
        parts.watchClock?.('verifier', { askedAt, answeredAt, told: opened.issuedAt, precisionSeconds: 1 })
      }
      if ('disbelief' in opened) return { kind: 'disbelieved', reason: opened.disbelief }
      const { claims } = opened
      const isBound =
        claims['nonce'] === pending.nonce && claims['request'] === (await sha256.hashToHex(pending.jws))
      if (!isBound) return { kind: 'disbelieved', reason: 'binding' }
      const verdict = parseVerdict(claims, pending.about, sealed)
      // Where the key went whole, that it is unknown is no answer: nobody asks a third time.
      if (verdict === null || (verdict.kind === 'keyUnknown' && !pending.isKeyNamed))
        return { kind: 'disbelieved', reason: 'verdict' }
      noteKey(keptKeys, pending.answerKey, { verdict, isKept: claims['kept'] === true })
      return (await openVerdict(verdict, pending)) ?? { kind: 'disbelieved', reason: 'encryption' }
    },
  }
}

export function createVerifierEnd(parts: EndParts): VerifierEnd {
  const { sha256 = webSha256 } = parts
  const requests = createSignature(parts.keys, TO_VERIFIER, parts.clock, sha256)
  const answers = createSignature(parts.keys, TO_GATEWAY, parts.clock, sha256)
  return {
    async openRequest(jws, credential, encrypted = null) {
      const opened = await requests.open(jws)
      if ('disbelief' in opened) return { kind: 'disbelieved', reason: opened.disbelief }
      const digest = credential === null ? null : await sha256.hashToHex(credential)
      if (opened.claims['credential'] !== digest) return { kind: 'disbelieved', reason: 'binding' }
      const encryptedDigest = encrypted === null ? undefined : await sha256.hashToHex(encrypted)
      if (opened.claims['encrypted'] !== encryptedDigest) return { kind: 'disbelieved', reason: 'binding' }
      return parseRequest(jws, opened.claims, credential !== null) ?? { kind: 'disbelieved', reason: 'form' }
    },
    async signAnswer(request, verdict) {
      const { nonce } = request
      const claims = writeVerdict(verdict)
      claims['nonce'] = nonce
      claims['request'] = await sha256.hashToHex(request.jws)
      if (keepsKey(request, verdict)) claims['kept'] = true
      return writeAnswerText({ jws: await answers.sign(claims), sealed: findSealed(verdict) })
    },
  }
}

function noteKey(
  keptKeys: WeakSet<AnswerKey>,
  answerKey: AnswerKey | null,
  { verdict, isKept }: { readonly verdict: Verdict; readonly isKept: boolean },
): void {
  if (answerKey === null) return
  if (isKept) keptKeys.add(answerKey)
  // The signer was restarted, another one answers behind the same URL, or one that knows keys by no name.
  const isLost =
    verdict.kind === 'keyUnknown' || (verdict.kind === 'outage' && verdict.rule === 'signer_unavailable')
  if (isLost) keptKeys.delete(answerKey)
}

/** What is answered with a key that came whole shows that it was opened: from then on its name will do. */
function keepsKey({ answerKey }: GenuineRequest, verdict: Verdict): boolean {
  if (answerKey === null || isKeyName(answerKey)) return false
  return verdict.kind === 'claimed' || verdict.kind === 'signed' || verdict.kind === 'signs'
}

function boundClient(client: ClientAddress): Claims {
  const { address, isDirectLoopback } = client
  const hostAddresses = client.hostAddresses.slice(0, HOST_ADDRESSES_MAX)
  return { address, isDirectLoopback, hostAddresses, isNamedByEdge: client.isNamedByEdge === true }
}

/**
 * @returns null unless a credential comes with a client, and a question without one does not; and an API token with what its
 * answer is encrypted with.
 */
function parseRequest(jws: string, claims: Claims, hasCredential: boolean): GenuineRequest | null {
  const { nonce, sign: answerKey = null, encrypted } = claims
  if (typeof nonce !== 'string' || nonce.length < NONCE_BYTES || nonce.length > 64) return null
  const client = parseClient(claims['client'])
  if ((client !== null) !== hasCredential) return null
  if (answerKey === null)
    return encrypted === undefined ? { kind: 'genuine', client, answerKey, nonce, jws } : null
  if (typeof answerKey !== 'string' || answerKey.length > ANSWER_KEY_MAX_CHARACTERS) return null
  // An API token is bound to the whole key.
  if (isKeyName(answerKey) && !hasCredential) return null
  return { kind: 'genuine', client, answerKey, nonce, jws }
}

function parseClient(value: unknown): ClientAddress | null {
  if (!isObject(value)) return null
  const { address, isDirectLoopback, hostAddresses, isNamedByEdge } = value
  if (!isCanonicalAddress(address) || typeof isDirectLoopback !== 'boolean') return null
  if (!Array.isArray(hostAddresses) || hostAddresses.length > HOST_ADDRESSES_MAX) return null
  const known: readonly unknown[] = hostAddresses
  if (!known.every(isCanonicalAddress)) return null
  const client = { address, isDirectLoopback, hostAddresses: known }
  // Who does not say that no edge named it is taken at the worst: there fewer credentials count.
  return isNamedByEdge === false ? client : { ...client, isNamedByEdge: true }
}

function isCanonicalAddress(value: unknown): value is string {
  return typeof value === 'string' && value.length <= 45 && parseAddress(value) === value
}
