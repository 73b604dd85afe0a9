/**
 * Whether a credential is sent from the host that made it: what keeps a credential seen on one host from being used
 * on another. Addresses are canonical text (see ClientAddress); munged's origins are IPv4.
 */

import { isLoopback } from '../ip-address.ts'
import type { ClientAddress } from '../ports.ts'
import type { HostMap } from './host-map.ts'

export type HostBinding = 'strict' | 'map' | 'off'

/**
 * Why a credential may be used by a client. `strict`: it is its maker's host; `map`: the operator's file says so; `off`:
 * nobody asks; null: it may not.
 */
export type Bond = HostBinding | null

/**
 * @param originAddress as munged decoded it; null: the credential names none.
 * @param hostMap the map in force; null where there is none.
 */
export function findBond(
  binding: HostBinding,
  originAddress: string | null,
  client: ClientAddress,
  hostMap: HostMap | null = null,
): Bond {
  if (binding === 'off') return 'off'
  if (originAddress === null || originAddress === '0.0.0.0') return null
  if (isSameHost(originAddress, client)) return 'strict'
  // The map has neither loopback origins nor loopback clients; that it could not open this door is not left to it alone.
  if (binding === 'strict' || isLoopback(originAddress) || isLoopback(client.address)) return null
  return hostMap?.has(originAddress, client.address) === true ? 'map' : null
}

function isSameHost(originAddress: string, client: ClientAddress): boolean {
  if (!isLoopback(client.address)) return client.address === originAddress
  // A loopback address that came through a proxy, or from a header, names the proxy's host: it proves nothing.
  if (!client.isDirectLoopback) return false
  // Debian's stock "127.0.1.1 hostname" makes the origin 127.0.1.1; elsewhere it is the host's LAN address.
  return isLoopback(originAddress) || client.hostAddresses.includes(originAddress)
}
