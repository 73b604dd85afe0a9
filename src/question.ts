/** A question to `POST /meta/explain`: a request that is not made, read from the document that describes it. */

import { parseJson, serializeJson, type JsonValue } from './document/json-document.ts'
import { refuse, type Refusal } from './refusal.ts'

/** The request in question, as a caller would send it. */
export interface Question {
  readonly method: string
  /** Path and query, as after the host name, below the base path. */
  readonly target: string
  readonly contentType: string | null
  readonly body: Uint8Array<ArrayBuffer> | null
}

const MEMBERS: ReadonlySet<string> = new Set(['method', 'path', 'body', 'content_type'])

/** `{"method", "path", "body"?, "content_type"?}`; a body is JSON, or a string: the text as it would be sent. */
export function parseQuestion(bytes: Uint8Array): Question | Refusal {
  const document = parseJson(bytes)
  if (document.type === 'problem') return refuse('json_malformed', { description: document.text })
  if (document.type !== 'object') return refuseQuestion()
  const { members } = document
  if ([...members.keys()].some((key) => !MEMBERS.has(key))) return refuseQuestion()
  const method = readText(members.get('method'))
  const target = readText(members.get('path'))
  if (method === null || target === null) return refuseQuestion()
  const problem = findQuestionProblem(method, target)
  if (problem !== null) return refuse('json_malformed', { description: problem })
  const body = members.get('body')
  const text = body === undefined ? null : (readText(body) ?? serializeJson(body))
  const contentType = readText(members.get('content_type')) ?? (text === null ? null : 'application/json')
  return { method, target, contentType, body: text === null ? null : new TextEncoder().encode(text) }
}

/**
 * A request line that no client could send, or that runtimes read differently, has no decision to explain.
 * @returns words for whoever asks; null: none of these.
 */
export function findQuestionProblem(method: string, target: string): string | null {
  if (!/^[A-Z]{1,32}$/.test(method)) return 'the method is in capitals, such as GET'
  if (!target.startsWith('/')) return 'the path begins with a slash'
  if (/[^!-~]|[#\\]/.test(target)) {
    return 'percent-encode what is in the path but letters, digits and what URLs use; leave out the fragment'
  }
  return null
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
