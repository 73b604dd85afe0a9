/**
 * slurmrestd over undici's pool, which copes with its habits (doubled error answers, Connection: Close) where
 * node:http does not (measured). Sends each request once; a connection that answered with an error is not used again.
 */

import { Pool, type Dispatcher } from 'undici'
import type { ServiceHeaders } from '../../src/hop-settings.ts'
import { CLIENT_STALL_MILLISECONDS } from '../../src/limits.ts'
import type { Upstream, UpstreamRequest } from '../../src/ports.ts'
import type { SlurmrestdAddress } from '../../src/settings.ts'
import { AnswerHandler } from './answer-handler.ts'

export interface NodeUpstream extends Upstream {
  /** Cuts what is still running. */
  close(): Promise<void>
}

const CONNECT_TIMEOUT_MILLISECONDS = 5_000
/** slurmrestd closes idle connections when it likes; ours go first. */
const KEEP_ALIVE_MILLISECONDS = 4_000

export function createUndiciUpstream(
  address: SlurmrestdAddress,
  maxConnections: number,
  clientStallMilliseconds = CLIENT_STALL_MILLISECONDS,
): NodeUpstream {
  const isUnix = address.kind === 'unix'
  const serviceHeaders = isUnix ? {} : address.serviceHeaders
  const pool = new Pool(isUnix ? 'http://localhost' : address.url.origin, {
    connections: maxConnections,
    pipelining: 1,
    connectTimeout: CONNECT_TIMEOUT_MILLISECONDS,
    keepAliveTimeout: KEEP_ALIVE_MILLISECONDS,
    ...(isUnix ? { socketPath: address.path } : {}),
  })
  return {
    send: (request) =>
      new Promise((resolve, reject) => {
        pool.dispatch(
          buildDispatch(request, serviceHeaders),
          new AnswerHandler(resolve, reject, request, clientStallMilliseconds),
        )
      }),
    close: () => pool.destroy(),
  }
}

function buildDispatch(request: UpstreamRequest, serviceHeaders: ServiceHeaders): Dispatcher.DispatchOptions {
  return {
    path: request.target,
    method: request.method,
    headers: { ...request.headers, ...serviceHeaders },
    body: request.body,
    // The answer's own clock runs in its handler: slurmrestd goes on working after nobody waits any more.
    headersTimeout: 0,
    bodyTimeout: request.timeoutMilliseconds,
    // undici may otherwise send an idempotent request again on another connection.
    idempotent: false,
  }
}
