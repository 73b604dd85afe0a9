/**
 * Judges the document of a MUNGE caller: it may be whatever slurmrestd reads and answers, but not what is known to end
 * or stall a daemon. Whose jobs it touches is Slurm's business. Nothing in it is changed: what goes upstream are the
 * caller's own bytes or, of YAML that not every reader reads alike, the same document in the gate's own writing.
 */

import type { CallBody } from '../call.ts'
import type { Operation } from '../operation.ts'
import { refuse, type Refusal } from '../refusal.ts'
import { findHarm } from './harmful-document.ts'
import { parseLenientJson } from './lenient-json.ts'
import { parseLenientYaml } from './lenient-yaml.ts'
import { isPlainYaml } from './plain-yaml.ts'
import { serializeYaml } from './serialize-yaml.ts'

/** @param body untrusted, already capped by the caller. @returns what goes upstream: nothing is known against it. */
export function judgeMungeDocument(
  body: CallBody,
  operation: Pick<Operation, 'route' | 'version'>,
): CallBody | Refusal {
  const { bytes, contentType } = body
  const isJson = contentType === 'application/json'
  const document = isJson ? parseLenientJson(bytes) : parseLenientYaml(bytes)
  if (document.type === 'problem') return refuse('json_malformed', { description: document.text })
  const words = findHarm(document, operation)
  if (words !== null) return refuse('document_harmful', { description: words })
  if (isJson || isPlainYaml(bytes)) return body
  return { contentType, bytes: new TextEncoder().encode(`${serializeYaml(document)}\n`) }
}
