/** Canonical addresses: node:net decides what is one, the WHATWG URL serialiser how it is written (RFC 5952). */

import { isIPv4, isIPv6 } from 'node:net'
import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { isLoopback, parseAddress, parseAddressRange } from '../../src/ip-address.ts'

const hex = fc.integer({ min: 0, max: 0xffff }).map((number) => number.toString(16))
const group = fc.oneof(fc.constant('0'), hex)

describe('parseAddress', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:201', '192.0.2.1'],
    ['0:0:0:0:0:ffff:127.0.0.1', '127.0.0.1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:0db8::0001', '2001:db8::1'],
    ['::1', '::1'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['::', '::'],
  ])('writes %s as %s', (text, canonical) => {
    expect(parseAddress(text)).toBe(canonical)
  })

  it.each([
    '', ' ', '127.1', '127.0.0', '127.0.0.1.', '127.0.0.01', '0177.0.0.1', '0x7f.0.0.1', '0x7f000001', '2130706433',
    '256.0.0.1', '1.2.3.4.5', '1.2.3', '-1.2.3.4', '1.2.3.4 ', ' 1.2.3.4', '1.2.3.4\n', '1.2.3.4/32', '１.2.3.4', '1,2,3,4',
    'localhost', 'unknown', '_hidden', ':', ':::', '1::2::3', '12345::', 'g::', '::1%lo', 'fe80::1%eth0', '[::1]', '::1/128',
    '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '::ffff:1.2.3', '::ffff:1.2.3.04', '::ffff:256.0.0.1', '::ffff:0x7f.0.0.1', '::1 ', '\u0000::1',
  ])('refuses %j', (text) => {
    expect(parseAddress(text)).toBeNull()
  }) // prettier-ignore

  it('takes what node:net takes and nothing else, whatever the text', () => {
    const piece = fc.constantFrom(
      '0',
      '1',
      '01',
      '255',
      '256',
      '.',
      ':',
      '::',
      'ffff',
      'f',
      '0x1',
      '-',
      '%',
      ' ',
      '1e1',
    )
    const text = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.array(piece, { maxLength: 17 }).map((parts) => parts.join('')),
    )
    fc.assert(
      fc.property(text, (address) => {
        const isOne = isIPv4(address) || (isIPv6(address) && !address.includes('%'))
        expect(parseAddress(address) !== null).toBe(isOne)
      }),
      { numRuns: 3000 },
    )
  })

  it('writes every IPv6 address as RFC 5952 does', () => {
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
        const text = groups.join(':')
        const canonical = new URL(`http://[${text}]/`).hostname.slice(1, -1)
        fc.pre(!canonical.startsWith('::ffff:'))
        expect(parseAddress(text)).toBe(canonical)
        expect(parseAddress(canonical)).toBe(canonical)
      }),
      { numRuns: 1000 },
    )
  })
})

describe('parseAddressRange', () => {
  it.each([
    ['10.0.0.0/8', '10.255.255.255', true],
    ['10.0.0.0/8', '11.0.0.0', false],
    ['10.0.0.1', '10.0.0.1', true],
    ['10.0.0.1', '10.0.0.2', false],
    ['0.0.0.0/0', '203.0.113.9', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['::/0', '203.0.113.9', false],
    ['2001:db8::/32', '2001:db8:ffff::1', true],
    ['2001:db8::/32', '2001:db9::1', false],
    ['10.0.0.0/8', '::ffff:10.1.2.3', true],
    ['::1/128', '::1', true],
    ['192.0.2.128/25', '192.0.2.127', false],
    ['10.0.0.0/8', 'unknown', false],
  ])('%s has %s: %s', (range, address, isInside) => {
    expect(parseAddressRange(range)?.contains(address)).toBe(isInside)
  })

  it.each([
    '', '/', '/8', '10.0.0.0/', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/8/8', '10.0.0.0/255.0.0.0', '10/8', '10.0.0.0/ 8', '::/129',
    'proxy.example', '10.0.0.0/8.0', '10.0.0.0/0x8', '010.0.0.0/8', 'fe80::%eth0/64',
  ])('refuses %j', (text) => {
    expect(parseAddressRange(text)).toBeNull()
  }) // prettier-ignore

  it('does not read the prefix of an IPv4-mapped range as that of an IPv4 range', () => {
    // RFC 4291 section 2.5.5.2: ::ffff:10.0.0.0/8 is ::/8, not 10.0.0.0/8.
    expect(parseAddressRange('::ffff:10.0.0.0/8')?.contains('10.1.2.3') ?? false).toBe(false)
  })
})

describe('isLoopback', () => {
  it.each([['127.0.0.1', true], ['127.255.0.9', true], ['::1', true], ['128.0.0.1', false], ['::', false], ['0.0.0.0', false], ['1.127.0.0', false], ['::127', false]])(
    '%s: %s', (address, expected) => {
      expect(isLoopback(address)).toBe(expected)
    },
  ) // prettier-ignore
})
