/** The gate as a Hono app: for every runtime, whatever the request is. */

import { Hono } from 'hono'
import type { Deliver } from './gate-answer.ts'
import type { ReadSentRequest } from './gate-request.ts'
import type { Gate } from './gateway.ts'

export interface GatewayAppOptions {
  readonly gate: Gate
  readonly readSentRequest: ReadSentRequest
  readonly deliver: Deliver
}

export function createGatewayApp({ gate, readSentRequest, deliver }: GatewayAppOptions): Hono {
  return new Hono().all('*', async (context) => deliver(await gate(readSentRequest(context)), context))
}
