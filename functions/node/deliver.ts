/** Hands answers to clients of Node's server directly: the Web's Response in between costs more than all of the gate. */

import type { HttpBindings } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import type { Deliver } from '../../src/gate-answer.ts'
import { writeAnswer, type ClientPace } from './write-answer.ts'

export function createNodeDeliver(pace: ClientPace): Deliver {
  return async function deliver(answer, context) {
    const { outgoing } = context.env as HttpBindings
    await writeAnswer(answer, outgoing, pace)
    return RESPONSE_ALREADY_SENT
  }
}
