/**
 * One line of the host map: an origin as munged decodes it, and the addresses its requests come from. Problems name the
 * line and the word, never its text: the file named by mistake may be a key.
 */

import { parseAddress, parseAddressRange, type AddressRange } from '../ip-address.ts'
import { HOST_MAP_MIN_PREFIX_IPV4, HOST_MAP_MIN_PREFIX_IPV6 } from '../limits.ts'

export interface HostLine {
  readonly lineNumber: number
  readonly origin: string
  readonly originRange: AddressRange
  /** Other hosts may stand behind the same addresses (NAT). */
  readonly isShared: boolean
  readonly clients: readonly AddressRange[]
}

interface Forbidden {
  readonly range: AddressRange
  readonly reason: string
}

/** @throws TypeError for a text that is no range: the table below is ours. */
function forbid(reason: string, ...texts: readonly string[]): readonly Forbidden[] {
  return texts.map((text) => {
    const range = parseAddressRange(text)
    if (range === null) throw new TypeError(`not a range: ${text}`)
    return { range, reason }
  })
}

/** Addresses that name no host to others. IPv6: ::/64 has unspecified, loopback and IPv4-mapped ones (RFC 4291). */
const FORBIDDEN: readonly Forbidden[] = [
  ...forbid('is or has loopback, which is never another host', '127.0.0.0/8', '::1'),
  ...forbid('is or has the unspecified address', '0.0.0.0/8', '::/64'),
  ...forbid('is or has multicast or broadcast', '224.0.0.0/3', 'ff00::/8'),
  ...forbid('is or has link-local, which is another host on each link', 'fe80::/10'),
  // RFC 6052: the last 32 bits are an IPv4 address, so its /96 is all of them.
  ...forbid('is or has translated IPv4: write the IPv4 address', '64:ff9b::/96'),
]

/** @returns null for a blank line, and for one with problems, which are appended. */
export function parseHostLine(line: string, lineNumber: number, problems: string[]): HostLine | null {
  const [content = ''] = line.split('#', 1)
  const words = content.split(/[ \t\r]/).filter((word) => word !== '')
  const [originText, ...others] = words
  if (originText === undefined) return null
  const complain = (position: number, reason: string): void =>
    void problems.push(`line ${lineNumber}, word ${position}: ${reason}`)
  const countBefore = problems.length

  const origin = readOrigin(originText)
  if ('reason' in origin) complain(1, origin.reason)
  let isShared = false
  const clients: AddressRange[] = []
  for (const [index, word] of others.entries()) {
    const client = word === 'shared' ? null : readClient(word)
    if (client === null) isShared = true
    else if ('reason' in client) complain(index + 2, client.reason)
    else clients.push(client)
  }
  if (others.length === (isShared ? 1 : 0)) {
    problems.push(`line ${lineNumber}: names no address that the host's requests come from`)
  }
  if ('reason' in origin || problems.length > countBefore) return null
  return { lineNumber, ...origin, isShared, clients }
}

/** munged knows IPv4 only (measured). */
function readOrigin(
  text: string,
): { readonly origin: string; readonly originRange: AddressRange } | { readonly reason: string } {
  if (text === 'shared') return { reason: 'the line begins with the origin, "shared" comes after it' }
  const origin = parseAddress(text)
  const originRange = origin === null ? null : parseAddressRange(origin)
  if (origin === null || originRange?.family !== 4) {
    return { reason: 'an origin is one IPv4 address, as munge credentials have it' }
  }
  return findForbidden(originRange) ?? { origin, originRange }
}

function readClient(text: string): AddressRange | { readonly reason: string } {
  if (text.includes('%')) return { reason: 'has a zone id, which means something on one host only' }
  // Written as IPv4 in IPv6 it is the IPv4 address, as in requests.
  const range = parseAddressRange(parseAddress(text) ?? text)
  if (range === null) return { reason: 'is no address, no range (address/prefix), and not the word shared' }
  const minPrefix = range.family === 4 ? HOST_MAP_MIN_PREFIX_IPV4 : HOST_MAP_MIN_PREFIX_IPV6
  if (range.prefix < minPrefix) {
    return { reason: `is wider than /${minPrefix}: that is not one host` }
  }
  if (!range.isAligned) {
    return { reason: 'names an address within its range: leave the prefix out, or write the first address' }
  }
  return findForbidden(range) ?? range
}

function findForbidden(range: AddressRange): { readonly reason: string } | null {
  const forbidden = FORBIDDEN.find((each) => each.range.covers(range) || range.covers(each.range))
  return forbidden === undefined ? null : { reason: forbidden.reason }
}
