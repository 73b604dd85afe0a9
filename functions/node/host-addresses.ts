/** The addresses of this host, for MUNGE host binding of clients on it. */

import { networkInterfaces } from 'node:os'
import { parseAddress } from '../../src/ip-address.ts'
import { isWithin } from '../../src/is-within.ts'
import type { Clock } from '../../src/ports.ts'

/** Interfaces come and go; asking the kernel costs some 100 µs. */
const FRESH_MILLISECONDS = 10_000

/** @returns a function whose answer is canonical, without loopback, IPv4 first (munged's origins are), at most 10 s old. */
export function createHostAddresses(clock: Clock): () => readonly string[] {
  let addresses: readonly string[] = []
  let readAt = Number.NEGATIVE_INFINITY
  return function findHostAddresses() {
    const now = clock()
    if (!isWithin(readAt, FRESH_MILLISECONDS, now)) {
      addresses = readAddresses()
      readAt = now
    }
    return addresses
  }
}

function readAddresses(): readonly string[] {
  const all = Object.values(networkInterfaces())
    .flatMap((interfaces) => interfaces ?? [])
    .filter((entry) => !entry.internal)
    .toSorted((a, b) => a.family.localeCompare(b.family))
    .map((entry) => parseAddress(entry.address))
  return [...new Set(all.filter((address) => address !== null))]
}
