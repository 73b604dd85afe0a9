/** PLACEHOLDER until the judging of MUNGE documents is written; overwrite this file. */
export function judgeMungeDocument(
  _bytes: Uint8Array,
  _contentType: 'application/json' | 'application/yaml',
  _operation: unknown,
): { readonly type: 'problem'; readonly text: string } | null {
  return null
}
