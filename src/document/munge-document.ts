/**
 * Judges the document of a MUNGE caller, whose own bytes go upstream: it may be whatever slurmrestd reads and answers,
 * but not what is known to end or stall a daemon. Whose jobs it touches is Slurm's business. Edits nothing.
 */

import type { CallBody } from '../call.ts'
import type { Operation } from '../operation.ts'
import { refuse, type Refusal } from '../refusal.ts'
import { findHarm } from './harmful-document.ts'
import { parseLenientJson } from './lenient-json.ts'
import { parseLenientYaml } from './lenient-yaml.ts'

/** @param body untrusted, already capped by the caller. @returns null: nothing known against it. */
export function judgeMungeDocument(
  { bytes, contentType }: CallBody,
  operation: Pick<Operation, 'route' | 'version'>,
): Refusal | null {
  const document = contentType === 'application/json' ? parseLenientJson(bytes) : parseLenientYaml(bytes)
  if (document.type === 'problem') return refuse('json_malformed', { description: document.text })
  const words = findHarm(document, operation)
  return words === null ? null : refuse('document_harmful', { description: words })
}
