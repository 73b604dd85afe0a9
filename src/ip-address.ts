/** Canonical IP addresses and CIDR ranges. Accepts only the standard spellings: no octal, no short forms, no zones. */

import ipaddr from 'ipaddr.js'

export interface AddressRange {
  readonly family: 4 | 6
  /** 32 or 128 for a single address. */
  readonly prefix: number
  /** The bits of the first address as `0` and `1`, 32 or 128 of them: they sort as the addresses do. */
  readonly start: string
  /** The text named the first address; false for an interface's `10.1.0.7/24`. */
  readonly isAligned: boolean
  contains(address: string): boolean
  /** Whether every address of the other one is in this one. */
  covers(other: AddressRange): boolean
}

/**
 * @param text untrusted.
 * @returns canonical text (dotted IPv4, RFC 5952 IPv6; IPv4-mapped IPv6 becomes IPv4), or null.
 */
export function parseAddress(text: string): string | null {
  const address = readAddress(text)
  return address === null ? null : address.toString()
}

/** @returns null where the text is neither an address nor `address/prefix`. */
export function parseAddressRange(text: string): AddressRange | null {
  const slash = text.indexOf('/')
  const base = readAddress(slash === -1 ? text : text.slice(0, slash))
  // `::ffff:10.0.0.0/104` is an IPv4 range to some readers and an IPv6 range to others.
  if (base === null || (slash !== -1 && base.kind() === 'ipv4' && text.includes(':'))) return null
  const maxPrefix = base.kind() === 'ipv4' ? 32 : 128
  const prefixText = slash === -1 ? String(maxPrefix) : text.slice(slash + 1)
  if (!/^\d{1,3}$/.test(prefixText) || Number(prefixText) > maxPrefix) return null
  return buildRange(base, Number(prefixText))
}

function buildRange(base: ipaddr.IPv4 | ipaddr.IPv6, prefix: number): AddressRange {
  const family = base.kind() === 'ipv4' ? 4 : 6
  const bits = base
    .toByteArray()
    .map((byte) => byte.toString(2).padStart(8, '0'))
    .join('')
  const network = bits.slice(0, prefix)
  const start = network.padEnd(bits.length, '0')
  return {
    family,
    prefix,
    start,
    isAligned: start === bits,
    contains(address) {
      const other = readAddress(address)
      return other !== null && other.kind() === base.kind() && other.match(base, prefix)
    },
    covers: (other) => other.family === family && other.prefix >= prefix && other.start.startsWith(network),
  }
}

/** All of 127.0.0.0/8, and ::1. @param address canonical. */
export function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1'
}

function readAddress(text: string): ipaddr.IPv4 | ipaddr.IPv6 | null {
  if (text.includes('%')) return null
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text)
  if (!text.includes(':') || !ipaddr.IPv6.isValid(text)) return null
  // RFC 4291 section 2.2.3: the dotted tail is decimal; the library also reads octal and hexadecimal.
  const tail = text.slice(text.lastIndexOf(':') + 1)
  if (tail.includes('.') && !ipaddr.IPv4.isValidFourPartDecimal(tail)) return null
  const address = ipaddr.IPv6.parse(text)
  return address.isIPv4MappedAddress() ? address.toIPv4Address() : address
}
