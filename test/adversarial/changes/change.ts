/** One change of a draft, and how it is made of its document or text. */

import { render } from '../attacks/job-documents.ts'
import type { Draft } from '../hostile-requests.ts'

export type Change = (draft: Draft) => Draft

/** Drafts without a document, or already turned into text, stay as they are. */
export function changeDocument(draft: Draft, edit: (document: unknown) => unknown): Draft {
  return draft.document === undefined || draft.text !== undefined
    ? draft
    : { ...draft, document: edit(draft.document) }
}

export function changeText(draft: Draft, edit: (text: string) => string): Draft {
  if (draft.text === undefined && draft.document === undefined) return draft
  return { ...draft, text: edit(draft.text ?? render(draft.document)) }
}

/** Spaces and control characters would end the request line; the rest stays as it is. */
export function encodeLoosely(text: string): string {
  return text.replace(/[^!-~]/g, (character) =>
    /[\ud800-\udfff]/.test(character) ? '%3F' : encodeURIComponent(character),
  )
}
