/** The verifier's HTTP side, for whoever holds the shared key. Runs on the cluster, on Node. */

import { Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import {
  createQuestionAnswerer,
  QUESTION_MAX_BYTES,
  type QuestionAnswerer,
  type QuestionAnswererParts,
} from './answer-question.ts'

/**
 * - `POST /verify` `{ credential?, request }`: 200 with the signed answer, 401 for a request that is not genuine.
 * - `GET /healthz`: the process; `GET /readyz`: munged and the name service, asked at most once a second.
 *
 * @param answerer shared with a server that takes questions itself; default: its own.
 */
export function createVerifierService(
  parts: QuestionAnswererParts,
  answerer: QuestionAnswerer = createQuestionAnswerer(parts),
): Hono {
  const app = new Hono()
  app.post(
    '/verify',
    bodyLimit({ maxSize: QUESTION_MAX_BYTES, onError: (context) => context.text('too large\n', 413) }),
    async (context) => {
      const { status, text } = await answerer.answer(await context.req.text())
      return context.text(text, status)
    },
  )
  app.get('/healthz', (context) => context.text('ok\n'))
  app.get('/readyz', async (context) => {
    const verdict = await answerer.findReadiness()
    const outage = verdict.kind === 'outage' ? verdict.rule : null
    return context.json({ ready: outage === null, outage }, outage === null ? 200 : 503)
  })
  app.notFound((context) => context.text('not found\n', 404))
  app.onError((error, context) => {
    parts.log.write('error', 'verifier_failed', { detail: error.message })
    return context.text('internal error\n', 500)
  })
  return app
}
