/**
 * The client's address, on which MUNGE host binding stands. Believes exactly the source the operator named
 * (`CLIENT_ADDRESS_FROM`); a client that sends such headers itself gains nothing.
 */

import { createBoundedMap } from './bounded-map.ts'
import { isLoopback, parseAddress, type AddressRange } from './ip-address.ts'
import type { ClientAddress, Log, RawHeaders } from './ports.ts'

export type ClientAddressSource = 'socket' | 'x-forwarded-for' | 'cf-connecting-ip' | 'none'

export interface ClientAddressSettings {
  readonly source: ClientAddressSource
  readonly trustedProxies: readonly AddressRange[]
}

/** What the runtime knows of the connection. */
export interface Connection {
  /** The peer of the socket as the runtime spells it; null: a unix socket, or the runtime does not tell. */
  readonly peerAddress: string | null
  /** Only the edge's own network reaches this runtime, and it overwrites `CF-Connecting-IP`. */
  readonly isEdge: boolean
  /** Addresses of this host, canonical. */
  readonly hostAddresses: () => readonly string[]
}

/** Headers that proxies add (`Via`: RFC 9110 section 7.6.3). Their presence means: not a direct connection. */
const PROXY_HEADERS: ReadonlySet<string> = new Set([
  'via',
  'forwarded',
  'x-real-ip',
  'cf-connecting-ip',
  'true-client-ip',
])

const PEERS_KEPT = 1_024

function isProxyHeader(name: string): boolean {
  const lowerName = name.toLowerCase()
  return PROXY_HEADERS.has(lowerName) || lowerName.startsWith('x-forwarded-')
}

/** @returns null where the address cannot be known: MUNGE is refused then. */
export type FindClientAddress = (connection: Connection, headers: RawHeaders) => ClientAddress | null

export function createClientAddressFinder(settings: ClientAddressSettings, log: Log): FindClientAddress {
  let isWarned = false
  const isTrusted = (address: string): boolean =>
    settings.trustedProxies.some((range) => range.contains(address))

  /** Once per process: an operator who forgot the setting reads why MUNGE callers are refused. */
  function warnOfUntrustedForwarding(peerAddress: string): void {
    if (isWarned) return
    isWarned = true
    log.write('warn', 'forwarding_header_ignored', {
      peer: peerAddress,
      message:
        'a request carries a forwarding header that is not trusted; behind a proxy set CLIENT_ADDRESS_FROM=x-forwarded-for and TRUSTED_PROXIES',
    })
  }

  /** A client asks more than once on a connection, and from one address. */
  const peers = createBoundedMap<string, string | null>(PEERS_KEPT)
  function readPeer(text: string): string | null {
    const known = peers.get(text)
    if (known !== undefined) return known
    const address = parseAddress(withoutZone(text))
    peers.set(text, address)
    return address
  }

  return function findClientAddress(connection, headers) {
    if (settings.source === 'none') return null
    if (settings.source === 'cf-connecting-ip' && connection.isEdge) return readEdgeAddress(headers)
    const peer = connection.peerAddress === null ? null : readPeer(connection.peerAddress)
    if (peer === null) return null
    const isForwarded = headers.some(([name]) => isProxyHeader(name))
    if (isTrusted(peer)) {
      if (settings.source === 'x-forwarded-for') return plain(findHop(headers, isTrusted))
      if (settings.source === 'cf-connecting-ip') return readEdgeAddress(headers)
    }
    if (isForwarded) warnOfUntrustedForwarding(peer)
    // A trusted proxy may speak for others without saying so.
    const isDirectLoopback = isLoopback(peer) && !isForwarded && !isTrusted(peer)
    return {
      address: peer,
      isDirectLoopback,
      hostAddresses: isDirectLoopback ? connection.hostAddresses() : [],
    }
  }
}

/**
 * The right-most hop that is not a trusted proxy: everything left of it was written by somebody unknown.
 * A hop that cannot be read makes the address unknown, never the next one.
 */
function findHop(headers: RawHeaders, isTrusted: (address: string) => boolean): string | null {
  const hops = headers
    .filter(([name]) => name.toLowerCase() === 'x-forwarded-for')
    .flatMap(([, value]) => value.split(','))
  let address: string | null = null
  for (const hop of hops.reverse()) {
    address = parseAddress(withoutPort(hop.trim()))
    if (address === null || !isTrusted(address)) return address
  }
  return address
}

/** Some proxies write `192.0.2.1:4711` or `[2001:db8::1]:4711`. */
function withoutPort(hop: string): string {
  return (
    /^(\d+\.\d+\.\d+\.\d+):\d{1,5}$/.exec(hop)?.[1] ?? /^\[([^\]]+)\](?::\d{1,5})?$/.exec(hop)?.[1] ?? hop
  )
}

/** A link-local peer is given with its interface (`fe80::1%eth0`); the interface is ours, not the client's. */
function withoutZone(address: string): string {
  const percent = address.indexOf('%')
  return percent === -1 ? address : address.slice(0, percent)
}

function readEdgeAddress(headers: RawHeaders): ClientAddress | null {
  const values = headers.filter(([name]) => name.toLowerCase() === 'cf-connecting-ip')
  const only = values.length === 1 ? values[0] : undefined
  const client = only === undefined ? null : plain(parseAddress(only[1].trim()))
  return client === null ? null : { ...client, isNamedByEdge: true }
}

/** An address that a proxy vouches for is never a direct loopback client. */
function plain(address: string | null): ClientAddress | null {
  return address === null ? null : { address, isDirectLoopback: false, hostAddresses: [] }
}
