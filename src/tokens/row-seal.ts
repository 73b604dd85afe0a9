/**
 * The seal of a token's row: an HMAC over all that decides what the token may do, so that whoever can write the table but
 * has no key can neither make a row nor change one unseen. Says nothing about rows that were removed, or put back as
 * they once were.
 */

import type { CryptoKey } from 'jose'

/** The first seals, all are believed (rotation). At least one. */
export type RowKeys = readonly Uint8Array<ArrayBuffer>[]

/** What a seal covers. The name and the issuer are words for people, and not in it. Times are Unix seconds, rounded down. */
export interface SealableRow {
  readonly id: string
  /** SHA-256 of the token. */
  readonly digest: Uint8Array
  readonly slurmUser: string
  /** Of the Slurm user when the token was issued; null: nobody knew it. */
  readonly uid: number | null
  /** null: any. */
  readonly account: string | null
  /** In the order in which they stand in the row. */
  readonly scopes: readonly string[]
  readonly format: string
  readonly createdAt: number
  /** null: never. */
  readonly expiresAt: number | null
  readonly revokedAt: number | null
  /** Id of the token that a rotation issued in its place; null: none. */
  readonly replacedBy: string | null
  readonly policyVersion: number
  /** null: not sealed yet. */
  readonly sealedAt: number | null
}

export type SealedRow = SealableRow & { readonly seal: Uint8Array | null }

/** `altered`: not as it was sealed, or sealed by a key that is not believed. */
export type SealProblem = 'unsealed' | 'altered' | 'too_old'

export interface SealRules {
  readonly keys: RowKeys
  /** Unix seconds: what was sealed before is not believed any more; null: all is. */
  readonly notBefore: number | null
}

/** Part of what is signed: no other use of a key, and no later form of a row, is taken for this one. */
const FORM = 'slurmgate token row 1'
const ALGORITHM = { name: 'HMAC', hash: 'SHA-256' }
const SEAL_BYTES = 32

/**
 * Seals with the first key. 32 bytes.
 * @throws TypeError for a row without `sealedAt`, or with a value that no row has: a bug of the caller.
 */
export async function sealRow(row: SealableRow, keys: RowKeys): Promise<Uint8Array<ArrayBuffer>> {
  const [key] = keys
  const bytes = encodeRow(row)
  if (key === undefined || bytes === null) throw new TypeError('a seal needs a key, and a whole row')
  return new Uint8Array(await crypto.subtle.sign('HMAC', await importKey(key), bytes))
}

/** A believed seal, and which of the keys made it. */
export interface IntactSeal {
  readonly keyIndex: number
}

/**
 * Compares in constant time, which WebCrypto's `verify` does.
 * @param row untrusted, the types of its fields included: it is what a database said.
 */
export async function judgeSeal(
  row: SealableRow & { readonly seal: Uint8Array | null; readonly sealedAt: number | null },
  options: SealRules,
): Promise<SealProblem | IntactSeal> {
  if (row.seal === null) return 'unsealed'
  const bytes = encodeRow(row)
  const keyIndex = bytes === null ? null : await findSealingKey(options.keys, row.seal, bytes)
  if (keyIndex === null) return 'altered'
  const { notBefore } = options
  const isTooOld = notBefore !== null && (row.sealedAt ?? Number.NEGATIVE_INFINITY) < notBefore
  return isTooOld ? 'too_old' : { keyIndex }
}

/** Likewise. @returns null: intact. */
export async function findSealProblem(
  row: Parameters<typeof judgeSeal>[0],
  options: SealRules,
): Promise<SealProblem | null> {
  const judgement = await judgeSeal(row, options)
  return typeof judgement === 'string' ? judgement : null
}

async function findSealingKey(
  keys: RowKeys,
  seal: Uint8Array,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<number | null> {
  if (seal.length !== SEAL_BYTES) return null
  const copy = new Uint8Array(seal)
  for (const [index, key] of keys.entries()) {
    if (await crypto.subtle.verify('HMAC', await importKey(key), copy, bytes)) return index
  }
  return null
}

/** As long as a process holds a key, it is imported once. */
const imported = new WeakMap<Uint8Array, CryptoKey>()

async function importKey(key: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
  const known =
    imported.get(key) ?? (await crypto.subtle.importKey('raw', key, ALGORITHM, false, ['sign', 'verify']))
  imported.set(key, known)
  return known
}

/**
 * One text for each row: JSON without white space, of a list whose places are fixed. JSON keeps null, '' and 'null'
 * apart, quotes what could end a text, and escapes lone surrogates, which UTF-8 would make one (ECMA-262,
 * `JSON.stringify`).
 *
 * @returns null where a field has a value that no row has: a time `infinity`, a list within the scopes.
 */
export function encodeRow(row: SealableRow): Uint8Array<ArrayBuffer> | null {
  const scopes: unknown = row.scopes
  if (!Array.isArray(scopes) || !scopes.every(isText)) return null
  if (![row.id, row.slurmUser, row.format].every(isText)) return null
  if (![row.account, row.replacedBy].every((value) => value === null || isText(value))) return null
  if (![row.createdAt, row.policyVersion, row.sealedAt].every(isInteger)) return null
  if (![row.uid, row.expiresAt, row.revokedAt].every((value) => value === null || isInteger(value)))
    return null
  const fields = [
    FORM,
    row.id,
    Array.from(row.digest),
    row.slurmUser,
    row.uid,
    row.account,
    scopes,
    row.format,
    row.createdAt,
    row.expiresAt,
    row.revokedAt,
    row.replacedBy,
    row.policyVersion,
    row.sealedAt,
  ]
  return new TextEncoder().encode(JSON.stringify(fields))
}

/** False for a row with a value that no row of ours has: nobody vouches for that. */
export function isSealable(row: SealableRow): boolean {
  return encodeRow({ ...row, sealedAt: 0 }) !== null
}

function isText(value: unknown): boolean {
  return typeof value === 'string'
}

function isInteger(value: unknown): boolean {
  return Number.isSafeInteger(value)
}
