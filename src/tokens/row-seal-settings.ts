/** `TOKEN_KEY_FILE` and `TOKENS_NOT_BEFORE`: what the rows of tokens are sealed with, and how old a seal may be. */

import { parseCanonicalBase64 } from '../base64.ts'
import { readText, type Environment } from '../environment.ts'
import type { ReadKeyFile } from '../slurm-key-settings.ts'
import { parseDateTime } from './expiry.ts'
import type { RowKeys, SealRules } from './row-seal.ts'

/** HMAC-SHA256: a key is as strong as its hash is wide (RFC 2104 section 3). */
const KEY_MIN_BYTES = 32
const KEYS_MAX = 8

/** @returns null where `TOKEN_KEY_FILE` is unset (no problem) or bad (a problem). */
export function readSealRules(
  source: { readonly env: Environment; readonly readKeyFile: ReadKeyFile },
  problems: string[],
): SealRules | null {
  const notBefore = readNotBefore(source.env, problems)
  const path = readText(source.env, 'TOKEN_KEY_FILE')
  if (path === null) {
    if (notBefore !== null)
      problems.push('TOKENS_NOT_BEFORE is read only with TOKEN_KEY_FILE: set both, or neither')
    return null
  }
  const bytes = source.readKeyFile(path)
  const keys = typeof bytes === 'string' ? bytes : parseRowKeys(bytes)
  if (typeof keys !== 'string') return { keys, notBefore }
  problems.push(`TOKEN_KEY_FILE ${keys}`)
  return null
}

/** One key a line, in base64; empty lines do not count. @returns the keys, or what is wrong, without a word of the file. */
export function parseRowKeys(file: Uint8Array): RowKeys | string {
  const lines = new TextDecoder()
    .decode(file)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
  if (lines.length === 0 || lines.length > KEYS_MAX) return `must have 1 to ${KEYS_MAX} keys, one a line`
  const keys: Uint8Array<ArrayBuffer>[] = []
  for (const line of lines) {
    const key = parseCanonicalBase64(line)
    if (key === null || key.length < KEY_MIN_BYTES) {
      return `must have base64 of at least ${KEY_MIN_BYTES} bytes in each line (openssl rand -base64 32)`
    }
    keys.push(key)
  }
  return keys
}

/** Seals are dated in whole seconds, so a fraction would promise what nobody compares. */
function readNotBefore(env: Environment, problems: string[]): number | null {
  const text = readText(env, 'TOKENS_NOT_BEFORE')
  if (text === null) return null
  const seconds = text.includes('.') ? null : parseDateTime(text)
  if (seconds === null)
    problems.push('TOKENS_NOT_BEFORE must be a date and time such as 2030-01-31T12:00:00Z')
  return seconds
}
