/** How long a client may take to ask, and how many may be connected: bounds of the HTTP servers, each with its reason. */

import { CLIENT_STALL_MILLISECONDS } from '../../src/limits.ts'

/** A client that is slower than this holds a socket for nothing: 408, and the connection is closed. */
export interface ServerLimits {
  /** From the connection, or the answer before, to the end of a request's head; and for a TLS handshake. */
  readonly headTimeoutMilliseconds: number
  /** To the end of its body. */
  readonly requestTimeoutMilliseconds: number
  /** One more is closed as soon as it is accepted. */
  readonly connectionsMax: number
  /** A client that takes nothing of what was written to it for so long is cut off. */
  readonly stallMilliseconds: number
  /** Requests that may wait behind one that is being answered. One more cuts the connection: each takes memory, read or not. */
  readonly pipelinedMax: number
}

/** Browsers, curl and proxies send no requests ahead of answers (RFC 9112 section 9.3.2 lets them); nor does a gateway. */
const PIPELINED_MAX = 16

/** Whoever sends 8 MiB from far away, and far more clients than may wait for slurmrestd. */
export const GATEWAY_SERVER_LIMITS: ServerLimits = {
  headTimeoutMilliseconds: 20_000,
  requestTimeoutMilliseconds: 120_000,
  connectionsMax: 4_096,
  stallMilliseconds: CLIENT_STALL_MILLISECONDS,
  pipelinedMax: PIPELINED_MAX,
}

/** A gateway waits 5 s for its answer; some 1,100 questions may be on their way to munged. */
export const VERIFIER_SERVER_LIMITS: ServerLimits = {
  headTimeoutMilliseconds: 5_000,
  requestTimeoutMilliseconds: 5_000,
  connectionsMax: 2_048,
  stallMilliseconds: 5_000,
  pipelinedMax: PIPELINED_MAX,
}
