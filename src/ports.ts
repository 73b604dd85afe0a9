/**
 * What the runtime hands in: clock, randomness, the client's address, the token store, the verifier, slurmrestd.
 * `src/` reads none of these by itself, so that the same code runs on Node and on workerd.
 */

import type { Body } from './byte-stream.ts'
import type { Refusal } from './refusal.ts'
import type { SlurmToken } from './slurm-token.ts'

/** Unix time in milliseconds. */
export type Clock = () => number

/** `length` bytes from a cryptographic generator. */
export type RandomBytes = (length: number) => Uint8Array

/** A request's headers as they were received: repeated headers stand repeatedly where the runtime shows them. */
export type RawHeaders = readonly (readonly [name: string, value: string])[]

/** Where a request comes from, as host binding sees it. */
export interface ClientAddress {
  /** Canonical text: dotted IPv4, or RFC 5952 IPv6 without zone; IPv4-mapped IPv6 is given as IPv4. */
  readonly address: string
  /** A loopback connection straight to this gate's socket, not through a proxy: then `hostAddresses` may match too. */
  readonly isDirectLoopback: boolean
  /** Addresses of the host the gate runs on, canonical; filled only where `isDirectLoopback`. */
  readonly hostAddresses: readonly string[]
  /** Cloudflare named it: what the internet sees of the client, never its address on the cluster. Absent: nobody did. */
  readonly isNamedByEdge?: true
}

/** The user a MUNGE credential was made by. */
interface MungeIdentity {
  readonly user: string
  readonly uid: number
  /** Digest of the only request it may be used for, lower-case hex; null: it is not bound to one. */
  readonly boundDigest: string | null
}

/** Of a credential that is still to be claimed, by whoever asked. */
export interface UnclaimedIdentity extends MungeIdentity {
  /** SHA-256 of the credential's decoded bytes, lower-case hex: the key of a replay guard. Where there is one, it is claimed. */
  readonly credentialDigest: string
  /** Unix time in seconds after which munged itself refuses the credential as expired. */
  readonly expiresAt: number
}

/** Of a credential that the verifier has claimed in the replay guard. */
export interface SignedIdentity extends MungeIdentity {
  /** Signed for this very credential. */
  readonly slurmToken: SlurmToken
}

/** Decides on one MUNGE credential. A credential that was accepted once is used up. */
export interface MungeVerifier {
  /**
   * @param credential untrusted: what followed the scheme.
   * @throws Outage `verifier_unavailable`, `verifier_overloaded`, `munged_unavailable`, `names_unavailable`: nobody said no,
   * nobody said yes.
   */
  verify(credential: string, client: ClientAddress): Promise<UnclaimedIdentity | SignedIdentity | Refusal>
  /** @throws Outage when the verifier or its munged does not answer. */
  check(): Promise<void>
}

/** One issued API token, as the store holds it. */
export interface TokenRecord {
  readonly id: string
  readonly name: string
  readonly slurmUser: string
  readonly scopes: readonly string[]
  readonly account: string | null
  /** Unix seconds; null: never. */
  readonly expiresAt: number | null
  readonly revokedAt: number | null
  /** The Slurm user's uid when the token was issued; null: nobody knew it. */
  readonly uid: number | null
  readonly policyVersion: number
}

/** How a request's token is looked up. */
export interface TokenLookUp {
  /**
   * @param digest SHA-256 of the presented token, lower-case hex.
   * @returns null: no such token. At most five seconds old; where changes are told, one.
   * @throws Outage `token_store_unavailable`
   */
  find(digest: string): TokenRecord | null | Promise<TokenRecord | null>
}

/** Look-ups of API tokens. Never cached here. */
export interface TokenStore {
  /**
   * @param digest SHA-256 of the presented token.
   * @returns null: no such token.
   * @throws Outage `token_store_unavailable`
   */
  findByDigest(digest: Uint8Array): Promise<TokenRecord | null>
  /** @throws Outage `token_store_unavailable` when the store does not answer or its schema does not fit. */
  check(): Promise<void>
}

/** Remembers accepted MUNGE credentials, so that a second verifier's munged cannot accept one again. */
export interface ReplayGuard {
  /**
   * Atomic: of any number of concurrent calls with one digest exactly one gets true.
   * @param expiresAt Unix seconds; kept at least 60 s longer.
   * @throws Outage `replay_guard_unavailable`
   */
  claim(credentialDigest: string, expiresAt: number): Promise<boolean>
}

export interface UpstreamRequest {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** Path and query, already canonical. */
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  /** Sent whole with Content-Length; null: no body. */
  readonly body: Uint8Array | null
  /** Until the answer's head has arrived, and between two pieces of its body. Milliseconds. */
  readonly timeoutMilliseconds: number
  /** Called once when slurmrestd is done with the request: answered whole, failed, or cut off. */
  readonly onEnd?: () => void
  /**
   * Asked once the length of an answer is known: with true it comes whole, as bytes, and slurmrestd is done by then.
   * Absent: every answer is a stream.
   */
  readonly takeWhole?: ((contentLength: number) => boolean) | undefined
}

export interface UpstreamAnswer {
  readonly status: number
  readonly contentType: string | null
  readonly contentLength: number | null
  readonly body: Body
}

/** slurmrestd. Sends each request once: never retries. */
export interface Upstream {
  /** @throws Outage `upstream_unreachable`, `upstream_timeout` */
  send(request: UpstreamRequest): Promise<UpstreamAnswer>
}

/** One JSON line on the operator's log. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export interface Log {
  /** `audit`: written whatever the operator's least level is. */
  write(level: LogLevel | 'audit', event: string, fields: Readonly<Record<string, unknown>>): void
  /**
   * @returns null: all that was written is with the operating system; else when it is, which is soon.
   * Absent: `write` returns only then.
   */
  readonly whenWritten?: () => Promise<void> | null
}
