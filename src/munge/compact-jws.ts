/**
 * Compact JWS (RFC 7515) with HS256 and exactly one header: what the exchange speaks. No algorithm is negotiated, and a
 * message has one spelling: whatever differs in one character is not signed.
 */

import { encodeBase64 } from '../base64.ts'

/** HMAC-SHA256 of ASCII text. */
export type Hmac = (text: string) => Uint8Array | Promise<Uint8Array>

/** RFC 7515 section 4.1: `alg` and `typ`, in this order. */
export function buildHeader(type: string): string {
  return encodeBase64Url(new TextEncoder().encode(JSON.stringify({ alg: 'HS256', typ: type })))
}

export async function signJws(header: string, payload: string, hmac: Hmac): Promise<string> {
  const signed = `${header}.${encodeText(payload)}`
  return `${signed}.${encodeBase64Url(await hmac(signed))}`
}

/** @param jws untrusted. @returns the payload's text, still encoded; null unless the header is this one and one key signed. */
export async function findSigned(
  jws: string,
  header: string,
  hmacs: readonly Hmac[],
): Promise<string | null> {
  if (!jws.startsWith(`${header}.`)) return null
  const end = jws.lastIndexOf('.')
  if (end <= header.length) return null
  const signed = jws.slice(0, end)
  const signature = jws.slice(end + 1)
  for (const hmac of hmacs) {
    if (areEqual(signature, encodeBase64Url(await hmac(signed)))) return signed.slice(header.length + 1)
  }
  return null
}

/** @returns null unless it is base64url of UTF-8. Only for what is signed: not strict about unused bits. */
export function decodePayload(base64Url: string): string | null {
  try {
    const binary = atob(base64Url.replaceAll('-', '+').replaceAll('_', '/'))
    if (isAscii(binary)) return binary
    const bytes = new Uint8Array(binary.length)
    for (let index = 0; index < binary.length; index += 1) bytes[index] = binary.charCodeAt(index)
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return null
  }
}

/** Of UTF-8. Messages are ASCII but for a name now and then: one byte is one character then. */
function encodeText(text: string): string {
  return isAscii(text) ? makeUrlSafe(btoa(text)) : encodeBase64Url(new TextEncoder().encode(text))
}

function isAscii(text: string): boolean {
  return /^[\0-\x7f]*$/.test(text)
}

function encodeBase64Url(bytes: Uint8Array): string {
  return makeUrlSafe(encodeBase64(bytes))
}

function makeUrlSafe(base64: string): string {
  const text = base64.replaceAll('+', '-').replaceAll('/', '_')
  const end = text.indexOf('=')
  return end === -1 ? text : text.slice(0, end)
}

/** Takes as long wherever they differ: a guess is told nothing (timing). */
function areEqual(left: string, right: string): boolean {
  if (left.length !== right.length) return false
  let difference = 0
  for (let index = 0; index < left.length; index += 1) {
    difference |= left.charCodeAt(index) ^ right.charCodeAt(index)
  }
  return difference === 0
}
