/**
 * Reads an API token's document strictly, judges it by the shape its route takes, and writes it anew, so that
 * slurmrestd reads what was judged.
 */

import type { Call } from '../call.ts'
import type { TokenPrincipal } from '../principal.ts'
import { refuse, type Refusal } from '../refusal.ts'
import { findHarm } from './harmful-document.ts'
import { confineSubmit, confineUpdate } from './job-document.ts'
import { confineJobList, refuseWithoutList } from './job-list.ts'
import { parseJson, serializeJson, type JsonValue } from './json-document.ts'

export interface ConfinedCall {
  readonly kind: 'confined'
  readonly call: Call
  /** Jobs that the document names, canonical ids. */
  readonly listedJobs: readonly string[]
}

export function confineCall(principal: TokenPrincipal, call: Call): ConfinedCall | Refusal {
  const { body: shape } = call.operation.route
  if (shape === null) return { kind: 'confined', call, listedJobs: [] }
  // Without a document slurmrestd would look for parameters elsewhere, or take none to mean every job.
  if (call.body === null) {
    const isList = shape === 'kill-list' || shape === 'requeue-list'
    return isList && principal.account !== null
      ? refuseWithoutList()
      : refuse('json_malformed', { description: 'this operation needs a body' })
  }
  const document = parseJson(call.body.bytes)
  if (document.type === 'problem') return refuse('json_malformed', { description: document.text })
  const harm = document.type === 'object' ? findHarm(document, call.operation) : null
  if (harm !== null) return refuse('document_harmful', { description: harm })
  const listedJobs = confineDocument(document, call, principal.account)
  if ('kind' in listedJobs) return listedJobs
  const bytes = new TextEncoder().encode(serializeJson(document))
  return {
    kind: 'confined',
    call: { ...call, body: { contentType: 'application/json', bytes } },
    listedJobs,
  }
}

function confineDocument(
  document: JsonValue,
  { operation: { route, version } }: Call,
  account: string | null,
): readonly string[] | Refusal {
  switch (route.body) {
    case 'submission':
      return confineSubmit(document, account, version) ?? []
    case 'job-update':
      return confineUpdate(document, account, version) ?? []
    case 'kill-list':
    case 'requeue-list':
      return confineJobList(document, route.body, account)
    case 'object':
      if (document.type === 'object') return []
      return refuse('json_malformed', { description: 'the body is not a JSON object' })
    case null:
      return []
  }
}
