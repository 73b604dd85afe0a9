/**
 * Small readers of one environment variable each. A bad value never throws: its problem is appended to the caller's
 * list, by name and never by value, so that a start can report all of them at once.
 */

import { parseCanonicalBase64 } from './base64.ts'
import type { LogLevel } from './ports.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** @returns the value without surrounding white space; null where it is unset or empty. */
export function readText(env: Environment, name: string): string | null
/** @returns `options.default` where unset or empty. */
export function readText(env: Environment, name: string, options: { default: string }): string
export function readText(env: Environment, name: string, options?: { default: string }): string | null {
  const value = (env[name] ?? '').trim()
  return value === '' ? (options?.default ?? null) : value
}

/** @returns '' with a problem where unset or empty. */
export function readRequiredText(env: Environment, name: string, problems: string[]): string {
  const value = readText(env, name)
  if (value === null) problems.push(`${name} is required`)
  return value ?? ''
}

/** Decimal digits only. @returns the default with a problem where the value is not an integer in min..max. */
export function readInteger(
  env: Environment,
  name: string,
  options: { default: number; min: number; max: number },
  problems: string[],
): number {
  const value = readText(env, name)
  if (value === null) return options.default
  const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN
  if (number >= options.min && number <= options.max) return number
  problems.push(`${name} must be an integer from ${options.min} to ${options.max}`)
  return options.default
}

/** @returns the default with a problem where the value is none of the choices, which are case-sensitive. */
export function readChoice<const Choice extends string>(
  env: Environment,
  name: string,
  options: { default: NoInfer<Choice>; choices: readonly Choice[] },
  problems: string[],
): Choice {
  const value = readText(env, name)
  if (value === null) return options.default
  const choice = options.choices.find((candidate) => candidate === value)
  if (choice !== undefined) return choice
  problems.push(`${name} must be one of: ${options.choices.join(', ')}`)
  return options.default
}

/**
 * A comma list; white space around items is dropped, empty items are a problem.
 * @param options.item what every item must look like: anchored at both ends, without the `g` flag.
 */
export function readList(
  env: Environment,
  name: string,
  options: { default: readonly string[]; item?: RegExp; maxItems?: number },
  problems: string[],
): readonly string[] {
  const value = readText(env, name)
  if (value === null) return options.default
  const items = value.split(',').map((item) => item.trim())
  const maxItems = options.maxItems ?? 256
  const isGood = (item: string): boolean => item !== '' && (options.item?.test(item) ?? true)
  if (items.length <= maxItems && items.every(isGood)) return items
  problems.push(`${name} must be a comma list of at most ${maxItems} well-formed items`)
  return options.default
}

/**
 * A comma list of secret keys in canonical base64. The first signs, all verify.
 * @returns [] where unset (no problem) or bad (a problem).
 */
export function readKeyList(
  env: Environment,
  name: string,
  options: { minBytes: number; maxKeys: number },
  problems: string[],
): readonly Uint8Array<ArrayBuffer>[] {
  const value = readText(env, name)
  if (value === null) return []
  const keys: Uint8Array<ArrayBuffer>[] = []
  for (const item of value.split(',').slice(0, options.maxKeys + 1)) {
    const key = parseCanonicalBase64(item.trim())
    if (key !== null && key.length >= options.minBytes) keys.push(key)
    else {
      problems.push(`${name} must be base64 of at least ${options.minBytes} bytes (or a comma list of such)`)
      return []
    }
  }
  if (keys.length <= options.maxKeys) return keys
  problems.push(`${name} may list at most ${options.maxKeys} keys`)
  return []
}

/**
 * An absolute URL without credentials, query or fragment.
 * @param options.protocols with their colon: `['http:', 'https:']`.
 * @returns null where unset (no problem) or bad (a problem).
 */
export function readUrl(
  env: Environment,
  name: string,
  options: { protocols: readonly string[] },
  problems: string[],
): URL | null {
  const value = readText(env, name)
  if (value === null) return null
  const url = URL.canParse(value) ? new URL(value) : null
  const isPlain = url !== null && url.username === '' && url.password === ''
  if (isPlain && url.search === '' && url.hash === '' && options.protocols.includes(url.protocol)) return url
  const schemes = options.protocols.map((protocol) => `${protocol}//`).join(' or ')
  problems.push(`${name} must be a ${schemes} URL without user, query or fragment`)
  return null
}

/** `yes` or `no`. */
export function readYesNo(env: Environment, name: string, problems: string[]): boolean {
  return readChoice(env, name, { default: 'no', choices: ['yes', 'no'] }, problems) === 'yes'
}

export function readLogLevel(env: Environment, problems: string[]): LogLevel {
  return readChoice(
    env,
    'LOG_LEVEL',
    { default: 'info', choices: ['debug', 'info', 'warn', 'error'] },
    problems,
  )
}
