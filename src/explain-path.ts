/** `POST /meta/explain`: the caller's own credential, a request in question, and what the gate would decide on it. */

import { answerJson } from './answer.ts'
import type { Trail } from './audit.ts'
import { readAll } from './byte-stream.ts'
import { readContentType } from './call.ts'
import { parseJson, serializeJson, type JsonValue } from './document/json-document.ts'
import { explain, type Question } from './explain.ts'
import type { GateRequest } from './gate-request.ts'
import type { Judge } from './judge.ts'
import { EXPLAIN_PATH } from './own-path.ts'
import type { Principal } from './principal.ts'
import { refuse, type Refusal } from './refusal.ts'

export interface ExplainPathOptions {
  readonly judge: Judge
  readonly bodyMaxBytes: number
}

/** @throws never for a dependency of the decision in question: that is an answer too. */
export async function answerExplain(
  request: GateRequest,
  principal: Principal,
  trail: Trail,
  { judge, bodyMaxBytes }: ExplainPathOptions,
): Promise<Response> {
  trail.note({ operation: `POST /${EXPLAIN_PATH}` })
  if (request.method !== 'POST') return trail.refuse(refuse('method_not_allowed', { allow: ['POST'] }))
  if (request.search !== '') return trail.refuse(refuse('query_on_post'))
  if (readContentType(request.headers, false) === null)
    return trail.refuse(refuse('content_type_unsupported'))
  const bytes = await readAll(request.readBody(), bodyMaxBytes).catch(() => refuse('body_malformed'))
  if (bytes === null) return trail.refuse(refuse('body_too_large'))
  const question = 'kind' in bytes ? bytes : readQuestion(bytes)
  if ('kind' in question) return trail.refuse(question)
  trail.allow('any_credential')
  return answerJson(request.requestId, await explain(judge, principal, question))
}

const MEMBERS: ReadonlySet<string> = new Set(['method', 'path', 'body', 'content_type'])

/** `{"method", "path", "body"?, "content_type"?}`; a body is JSON, or a string: the text as it would be sent. */
function readQuestion(bytes: Uint8Array): Question | Refusal {
  const document = parseJson(bytes)
  if (document.type === 'problem') return refuse('json_malformed', { description: document.text })
  if (document.type !== 'object') return refuseQuestion()
  const { members } = document
  if ([...members.keys()].some((key) => !MEMBERS.has(key))) return refuseQuestion()
  const method = readText(members.get('method'))
  const target = readText(members.get('path'))
  if (method === null || target === null || !target.startsWith('/')) return refuseQuestion()
  const body = members.get('body')
  const text = body === undefined ? null : (readText(body) ?? serializeJson(body))
  const contentType = readText(members.get('content_type')) ?? (text === null ? null : 'application/json')
  return { method, target, contentType, body: text === null ? null : new TextEncoder().encode(text) }
}

function readText(value: JsonValue | undefined): string | null {
  return value?.type === 'string' ? value.value : null
}

function refuseQuestion(): Refusal {
  return refuse('json_malformed', {
    description:
      'send {"method": "DELETE", "path": "/slurm/latest/job/17"}, with "body" and "content_type" where the request in question has them',
  })
}
