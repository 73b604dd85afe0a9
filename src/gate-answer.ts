/** An answer as plain data: what the gate decided to say, before a runtime puts it into its own form. */

import type { Context } from 'hono'

export type HeaderField = readonly [name: string, value: string]

export interface GateAnswer {
  readonly status: number
  /** Names once each. */
  readonly headers: readonly HeaderField[]
  /** null with the Fetch standard's null body statuses, and where there is nothing to say. */
  readonly body: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | null
  /** To be called once, when the client has taken it or has gone: then nothing of it has to be kept any more. */
  readonly onDelivered?: () => void
}

/** Hands an answer to the client. A runtime may have a shorter way than the Web's Response. */
export type Deliver = (answer: GateAnswer, context: Context) => Response | Promise<Response>

/** For every runtime. The client's pace is the runtime's business then. */
export const deliverAsResponse: Deliver = (answer) => {
  answer.onDelivered?.()
  return buildResponse(answer)
}

export function buildResponse({ status, headers, body }: GateAnswer): Response {
  return new Response(body, { status, headers: headers.map(toPair) })
}

function toPair([name, value]: HeaderField): [string, string] {
  return [name, value]
}
