/** Source: CONTRACT "Host binding". */

import { expect, test } from 'vitest'
import { isFromOrigin } from '../../src/munge/host-binding.ts'
import type { ClientAddress } from '../../src/ports.ts'

const HOST_ADDRESSES = ['10.0.0.5', '192.168.1.5', 'fd00::5']
const direct = (address: string): ClientAddress => ({
  address,
  isDirectLoopback: true,
  hostAddresses: HOST_ADDRESSES,
})
const distant = (address: string): ClientAddress => ({ address, isDirectLoopback: false, hostAddresses: [] })

test.each([
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
])('strict: %s', (_what, origin, client, isAllowed) => {
  expect(isFromOrigin('strict', origin, client)).toBe(isAllowed)
})

test('off: any origin goes with any client', () => {
  expect(isFromOrigin('off', '192.0.2.7', distant('10.0.0.8'))).toBe(true)
  expect(isFromOrigin('off', null, direct('127.0.0.1'))).toBe(true)
})
