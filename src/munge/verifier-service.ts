/** The verifier's HTTP side, for whoever holds the shared key. Runs on the cluster, on Node. */

import { Hono } from 'hono'
import { readAll } from '../byte-stream.ts'
import { createSparingLine } from '../sparing-line.ts'
import {
  createQuestionAnswerer,
  QUESTION_MAX_BYTES,
  type QuestionAnswerer,
  type QuestionAnswererParts,
} from './answer-question.ts'

/**
 * - `POST /verify` `{ credential?, request }`: 200 with the signed answer, 401 for a request that is not genuine, 429
 *   with Retry-After for one too many.
 * - `GET /healthz`: the process; `GET /readyz`: munged and the name service, asked at most once a second.
 *
 * @param answerer shared with a server that takes questions itself; default: its own.
 */
export function createVerifierService(
  parts: QuestionAnswererParts,
  answerer: QuestionAnswerer = createQuestionAnswerer(parts),
): Hono {
  const app = new Hono()
  const logFailure = createSparingLine(parts.log, 'error', 'verifier_failed')
  app.post('/verify', async (context) => {
    const body = await readBody(context.req.raw)
    if (body === null) return context.text('too large\n', 413)
    const { status, text, headers } = await answerer.answer(body)
    return context.text(text, status, headers)
  })
  app.get('/healthz', (context) => context.text('ok\n'))
  app.get('/readyz', async (context) => {
    const verdict = await answerer.findReadiness()
    const outage = verdict.kind === 'outage' ? verdict.rule : null
    return context.json({ ready: outage === null, outage }, outage === null ? 200 : 503)
  })
  app.notFound((context) => context.text('not found\n', 404))
  app.onError((error, context) => {
    logFailure({ detail: error.message })
    return context.text('internal error\n', 500)
  })
  return app
}

/** @returns null for more than a question may have; nothing is read of one that says so. */
async function readBody({ headers, body }: Request): Promise<string | null> {
  if (Number(headers.get('content-length') ?? 0) > QUESTION_MAX_BYTES) return null
  const bytes = await readAll(body, QUESTION_MAX_BYTES)
  return bytes === null ? null : new TextDecoder().decode(bytes)
}
