/** The attacks by class, for one API version. */

import type { Attack } from './attack.ts'
import { buildBulkAttacks } from './bulk.ts'
import { buildContentTypeAttacks } from './content-types.ts'
import { buildDeadlyDocumentAttacks } from './deadly-documents.ts'
import { buildHeaderAttacks } from './headers.ts'
import { buildHetAndArrayAttacks } from './het-and-array.ts'
import { buildJobDocumentAttacks } from './job-documents.ts'
import { buildJobIdAttacks } from './job-ids.ts'
import { buildJsonTextAttacks } from './json-text.ts'
import { buildPathAttacks } from './paths.ts'
import { buildQueryAttacks } from './query.ts'
import { buildScopeAttacks } from './scopes.ts'

export const ATTACK_CLASSES: Readonly<Record<string, (version: number) => Attack[]>> = {
  paths: buildPathAttacks,
  'job ids': buildJobIdAttacks,
  query: buildQueryAttacks,
  headers: buildHeaderAttacks,
  'JSON text': buildJsonTextAttacks,
  'job documents': buildJobDocumentAttacks,
  'deadly documents': buildDeadlyDocumentAttacks,
  bulk: buildBulkAttacks,
  'het and array jobs': buildHetAndArrayAttacks,
  'content types': buildContentTypeAttacks,
  scopes: buildScopeAttacks,
}
