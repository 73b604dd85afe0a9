/** A job description judged as an API token's: what would go upstream, or why it does not. */

import { confineSubmit, confineUpdate } from '../../src/document/job-document.ts'
import { parseJson, serializeJson } from '../../src/document/json-document.ts'
import { encode, ruleOf } from './in-memory-ports.ts'

type Confine = typeof confineSubmit

/** v0.0.NN of a daemon in its prime: 24.11. */
const VERSION = 42

/** What would go upstream, parsed; or the rule that refuses it. */
function confine(with_: Confine, document: unknown, account: string | null, version: number): unknown {
  const parsed = parseJson(encode(typeof document === 'string' ? document : JSON.stringify(document)))
  if (parsed.type === 'problem') return 'json_malformed'
  const refusal = with_(parsed, account, version)
  return refusal === null ? JSON.parse(serializeJson(parsed)) : ruleOf(refusal)
}
export const submit = (document: unknown, account: string | null = 'own', version = VERSION) =>
  confine(confineSubmit, document, account, version)
export const update = (document: unknown, account: string | null = 'own', version = VERSION) =>
  confine(confineUpdate, document, account, version)

/** What the caller is told; null: it is allowed. */
export function explain(
  with_: Confine,
  document: unknown,
  version = VERSION,
  account: string | null = 'own',
) {
  const parsed = parseJson(encode(JSON.stringify(document)))
  if (parsed.type === 'problem') throw new Error(parsed.text)
  return with_(parsed, account, version)?.description ?? null
}
