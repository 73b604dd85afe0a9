/** Source: CONTRACT "Host binding". */

import { expect, test } from 'vitest'
import { findBond } from '../../src/munge/host-binding.ts'
import { parseHostMap, type HostMap } from '../../src/munge/host-map.ts'
import type { ClientAddress } from '../../src/ports.ts'

const HOST_ADDRESSES = ['10.0.0.5', '192.168.1.5', 'fd00::5']
const direct = (address: string): ClientAddress => ({
  address,
  isDirectLoopback: true,
  hostAddresses: HOST_ADDRESSES,
})
const distant = (address: string): ClientAddress => ({ address, isDirectLoopback: false, hostAddresses: [] })

const CASES: readonly (readonly [
  what: string,
  origin: string | null,
  client: ClientAddress,
  isAllowed: boolean,
])[] = [
  ['the same address', '10.0.0.7', distant('10.0.0.7'), true],
  ['another address', '10.0.0.7', distant('10.0.0.8'), false],
  ['an address that starts alike', '10.0.0.7', distant('10.0.0.77'), false],
  ['an IPv6 client', '10.0.0.7', distant('fd00::7'), false],
  ['a loopback origin from a distant client', '127.0.0.1', distant('10.0.0.7'), false],
  ["Debian's 127.0.1.1 from a distant client", '127.0.1.1', distant('10.0.0.7'), false],
  ['a loopback origin, loopback client through a proxy', '127.0.0.1', distant('127.0.0.1'), false],
  ['a host origin, loopback client through a proxy', '10.0.0.5', distant('127.0.0.1'), false],
  ['a loopback origin, ::1 through a proxy', '127.0.0.1', distant('::1'), false],
  ['a loopback origin, direct client', '127.0.0.1', direct('127.0.0.1'), true],
  ["Debian's 127.0.1.1, direct client", '127.0.1.1', direct('127.0.0.1'), true],
  ['a loopback origin, direct client on 127.0.0.9', '127.0.0.1', direct('127.0.0.9'), true],
  ['a loopback origin, direct client on ::1', '127.0.0.1', direct('::1'), true],
  ["this host's own address, direct client", '10.0.0.5', direct('127.0.0.1'), true],
  ["this host's other address, direct client on ::1", '192.168.1.5', direct('::1'), true],
  ["another host's address, direct client", '192.0.2.7', direct('127.0.0.1'), false],
  ['no origin, direct client', null, direct('127.0.0.1'), false],
  ['no origin, distant client', null, distant('10.0.0.7'), false],
  ['origin 0.0.0.0, direct client', '0.0.0.0', direct('127.0.0.1'), false],
  ['origin 0.0.0.0, client 0.0.0.0', '0.0.0.0', distant('0.0.0.0'), false],
  [
    'a client marked direct that is not loopback gets no host addresses',
    '192.168.1.5',
    direct('10.0.0.5'),
    false,
  ],
]

test.each(CASES)('strict: %s', (_what, origin, client, isAllowed) => {
  expect(findBond('strict', origin, client)).toBe(isAllowed ? 'strict' : null)
})

test.each(CASES)('map, for hosts that it does not name: %s', (_what, origin, client, isAllowed) => {
  const hostMap = requireMap('10.9.9.9 10.9.9.8')
  expect(findBond('map', origin, client, hostMap)).toBe(isAllowed ? 'strict' : null)
  expect(findBond('map', origin, client, null)).toBe(isAllowed ? 'strict' : null)
})

function requireMap(text: string): HostMap {
  const map = parseHostMap(text)
  if ('problems' in map) throw new Error(map.problems.join('; '))
  return map
}

test.each([
  ['an address of the line', '10.0.0.7', distant('192.168.5.7'), 'map'],
  ['an address within a range of the line', '10.0.0.7', distant('172.16.7.200'), 'map'],
  ['an IPv6 address of the line', '10.0.0.7', distant('2001:db8::7'), 'map'],
  ['an IPv6 address within a range', '10.0.0.7', distant('2001:db8:7::1'), 'map'],
  ['the origin itself, though the line leaves it out', '10.0.0.7', distant('10.0.0.7'), 'strict'],
  ['the address behind the range', '10.0.0.7', distant('172.16.8.0'), null],
  ["another host's address", '10.0.0.7', distant('192.168.5.8'), null],
  ["another host's credential from a mapped address", '10.0.0.8', distant('192.168.5.7'), null],
  ["an unnamed host's credential from a mapped address", '10.0.0.9', distant('192.168.5.7'), null],
  ['the mapped address as origin, the origin as client', '192.168.5.7', distant('10.0.0.7'), null],
  ['a loopback origin from a mapped address', '127.0.1.1', distant('192.168.5.7'), null],
  ['no origin from a mapped address', null, distant('192.168.5.7'), null],
  ['origin 0.0.0.0 from a mapped address', '0.0.0.0', distant('192.168.5.7'), null],
  ['a direct loopback client and a mapped origin', '10.0.0.7', direct('127.0.0.1'), null],
  ['a direct loopback client whose host has the mapped address', '10.0.0.7', { ...direct('127.0.0.1'), hostAddresses: ['192.168.5.7'] }, null],
  ["a direct loopback client on the origin's host", '10.0.0.5', direct('127.0.0.1'), 'strict'],
] as const)('map: %s', (_what, origin, client, bond) => {
  const hostMap = requireMap(`
    10.0.0.7 192.168.5.7 172.16.7.0/24 2001:db8::7 2001:db8:7::/64
    10.0.0.8 192.168.5.8
  `)
  expect(findBond('map', origin, client, hostMap)).toBe(bond)
}) // prettier-ignore

test('map: a map that had loopback in it would still open no loopback', () => {
  const careless: HostMap = { hosts: 1, sharedHosts: 0, has: () => true }
  expect(findBond('map', '127.0.0.1', distant('10.0.0.7'), careless)).toBeNull()
  expect(findBond('map', '192.0.2.7', direct('127.0.0.1'), careless)).toBeNull()
  expect(findBond('map', '192.0.2.7', distant('::1'), careless)).toBeNull()
})

test('strict: a map is not looked at', () => {
  const careless: HostMap = { hosts: 1, sharedHosts: 0, has: () => true }
  expect(findBond('strict', '10.0.0.7', distant('192.168.5.7'), careless)).toBeNull()
})

test('off: any origin goes with any client', () => {
  expect(findBond('off', '192.0.2.7', distant('10.0.0.8'))).toBe('off')
  expect(findBond('off', null, direct('127.0.0.1'))).toBe('off')
})
