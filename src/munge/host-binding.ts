/**
 * Whether a credential is sent from the host that made it: what keeps a credential seen on one host from being used
 * on another. Addresses are canonical text (see ClientAddress); munged's origins are IPv4.
 */

import { isLoopback } from '../ip-address.ts'
import type { ClientAddress } from '../ports.ts'

export type HostBinding = 'strict' | 'off'

/**
 * @param originAddress as munged decoded it; null: the credential names none.
 * @returns whether the credential may be used by this client.
 */
export function isFromOrigin(
  binding: HostBinding,
  originAddress: string | null,
  client: ClientAddress,
): boolean {
  if (binding === 'off') return true
  if (originAddress === null || originAddress === '0.0.0.0') return false
  if (!isLoopback(client.address)) return client.address === originAddress
  // A loopback address that came through a proxy, or from a header, names the proxy's host: it proves nothing.
  if (!client.isDirectLoopback) return false
  // Debian's stock "127.0.1.1 hostname" makes the origin 127.0.1.1; elsewhere it is the host's LAN address.
  return isLoopback(originAddress) || client.hostAddresses.includes(originAddress)
}
