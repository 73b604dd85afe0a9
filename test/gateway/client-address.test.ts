/** CONTRACT `CLIENT_ADDRESS_FROM`, "Host binding": the client's address comes from the named source or not at all. */

import { describe, expect, it } from 'vitest'
import { createClientAddressFinder, type ClientAddressSource } from '../../src/client-address.ts'
import { parseAddressRange } from '../../src/ip-address.ts'
import type { RawHeaders } from '../../src/ports.ts'
import { createMemoryLog } from './in-memory-ports.ts'

const HOST_ADDRESSES = ['192.0.2.10', '127.0.0.1']
const PROXY = '10.0.0.1'
const CLIENT = '203.0.113.7'

interface Given {
  readonly source: ClientAddressSource
  readonly trusted?: readonly string[]
  readonly peer: string | null
  readonly headers?: RawHeaders
  readonly isEdge?: boolean
}

function setUp(source: ClientAddressSource, trusted: readonly string[] = []) {
  const log = createMemoryLog()
  const trustedProxies = trusted.flatMap((text) => parseAddressRange(text) ?? [])
  const find = createClientAddressFinder({ source, trustedProxies }, log)
  return {
    log,
    find: (peer: string | null, headers: RawHeaders = [], isEdge = false) =>
      find({ peerAddress: peer, isEdge, hostAddresses: () => HOST_ADDRESSES }, headers),
  }
}

function findAddress({ source, trusted, peer, headers, isEdge }: Given): string | null {
  return setUp(source, trusted).find(peer, headers, isEdge)?.address ?? null
}

const forwarded = (...values: string[]): RawHeaders => values.map((value) => ['X-Forwarded-For', value])
const SPOOFS: RawHeaders = [
  ['X-Forwarded-For', '192.0.2.66'],
  ['CF-Connecting-IP', '192.0.2.66'],
  ['X-Real-IP', '192.0.2.66'],
  ['True-Client-IP', '192.0.2.66'],
  ['Forwarded', 'for=192.0.2.66'],
]

describe('a client that sends forwarding headers itself gains nothing', () => {
  it.each<Given & { expected: string | null }>([
    { source: 'socket', peer: CLIENT, expected: CLIENT },
    { source: 'socket', peer: PROXY, trusted: ['10.0.0.0/8'], expected: PROXY },
    { source: 'x-forwarded-for', peer: CLIENT, trusted: ['10.0.0.0/8'], expected: CLIENT },
    { source: 'x-forwarded-for', peer: '127.0.0.1', trusted: ['10.0.0.0/8'], expected: '127.0.0.1' },
    { source: 'cf-connecting-ip', peer: CLIENT, trusted: ['10.0.0.0/8'], expected: CLIENT },
    { source: 'none', peer: CLIENT, expected: null },
    { source: 'none', peer: '127.0.0.1', expected: null },
    { source: 'none', peer: null, isEdge: true, expected: null },
    { source: 'socket', peer: null, expected: null },
    { source: 'x-forwarded-for', peer: null, trusted: ['0.0.0.0/0', '::/0'], expected: null },
    { source: 'cf-connecting-ip', peer: null, trusted: ['0.0.0.0/0', '::/0'], expected: null },
  ])('$source, peer $peer, trusting $trusted: $expected', ({ expected, ...given }) => {
    expect(findAddress({ ...given, headers: SPOOFS })).toBe(expected)
  })
})

describe('x-forwarded-for: the right-most hop that is not a trusted proxy', () => {
  it.each<[string, RawHeaders, string | null]>([
    ['one hop', forwarded(CLIENT), CLIENT],
    ['a spoofed hop to the left', forwarded(`192.0.2.66, ${CLIENT}`), CLIENT],
    ['trusted hops to the right', forwarded(`192.0.2.66, ${CLIENT}, 10.0.0.2,10.0.0.3`), CLIENT],
    ['a trusted hop that the client wrote', forwarded(`10.0.0.9, ${CLIENT}`), CLIENT],
    ['several fields, in order', forwarded('192.0.2.66', `${CLIENT}, 10.0.0.2`), CLIENT],
    ['several fields, the last one decides', forwarded(CLIENT, '192.0.2.77'), '192.0.2.77'],
    ['field names in any case', [['x-FORWARDED-for', CLIENT]], CLIENT],
    ['a port', forwarded(`${CLIENT}:4711`), CLIENT],
    ['brackets and a port', forwarded('[2001:db8::7]:4711'), '2001:db8::7'],
    ['brackets', forwarded('[2001:DB8::7]'), '2001:db8::7'],
    ['IPv6 without brackets', forwarded('2001:db8::7'), '2001:db8::7'],
    ['an IPv4-mapped address', forwarded(`::ffff:${CLIENT}`), CLIENT],
    ['an IPv4-mapped trusted hop', forwarded(`${CLIENT}, ::ffff:10.0.0.2`), CLIENT],
    ['a loopback hop', forwarded('127.0.0.1'), '127.0.0.1'],
    ['no header', [], null],
    ['an empty header', forwarded(''), null],
    ['an empty last hop', forwarded(`${CLIENT},`), null],
    ['an empty last field', forwarded(CLIENT, ''), null],
    ['a junk last hop', forwarded(`${CLIENT}, unknown`), null],
    ['junk between trusted hops', forwarded(`${CLIENT}, junk, 10.0.0.2`), null],
    ['junk that is left of the client', forwarded(`junk, ${CLIENT}`), CLIENT],
    ['a zone id', forwarded('fe80::1%eth0'), null],
    ['an octal spelling', forwarded('0177.0.0.1'), null],
    ['a short spelling', forwarded('127.1'), null],
    ['an obfuscated hop', forwarded('_hidden'), null],
    ['a port without an end', forwarded(`${CLIENT}:`), null],
    ['a port that is no number', forwarded(`${CLIENT}:4711x`), null],
    ['unbalanced brackets', forwarded('[2001:db8::7'), null],
    ['Forwarded (RFC 7239) in its place', [['Forwarded', `for=${CLIENT}`]], null],
    ['another header in its place', [['X-Real-IP', CLIENT]], null],
  ])('%s', (_, headers, expected) => {
    for (const peer of [PROXY, `::ffff:${PROXY}`]) {
      expect(findAddress({ source: 'x-forwarded-for', trusted: ['10.0.0.0/8'], peer, headers })).toBe(
        expected,
      )
    }
  })

  // Each proxy in a row writes the one before it; the outermost is the last but one to be asked.
  const ROW = ['10.0.0.0/8', '2001:db8:ffff::/48', 'fe80::/10', '127.0.0.1']
  it.each<[string, string, RawHeaders, string | null]>([
    ['two', '10.0.0.1', forwarded(`${CLIENT}, 10.0.0.2`), CLIENT],
    ['three, of both families', '10.0.0.1', forwarded(`${CLIENT}, 2001:db8:ffff::2, 10.0.0.3`), CLIENT],
    ['ports on every hop', '10.0.0.1', forwarded(`${CLIENT}:1, [2001:db8:ffff::2]:2, 10.0.0.3:3`), CLIENT],
    ['IPv4 in IPv6 on every hop', '::ffff:10.0.0.1', forwarded(`::ffff:${CLIENT}, ::ffff:10.0.0.2`), CLIENT],
    ['IPv4 in IPv6 in hexadecimal', '10.0.0.1', forwarded(`::ffff:cb00:7107, ::ffff:a00:2`), CLIENT],
    ['each in a field of its own', '10.0.0.1', forwarded(CLIENT, '10.0.0.2', '10.0.0.3'), CLIENT],
    ['the last on the gate’s own host', '127.0.0.1', forwarded(`${CLIENT}, 10.0.0.2`), CLIENT],
    ['the last on the link, with a zone', 'fe80::1%eth0', forwarded(`${CLIENT}, 10.0.0.2`), CLIENT],
    ['an IPv6 client', '2001:db8:ffff::1', forwarded('2001:db8::7, 10.0.0.2'), '2001:db8::7'],
    ['an unknown one between them', '10.0.0.1', forwarded(`${CLIENT}, 192.0.2.9, 10.0.0.2`), '192.0.2.9'],
    ['a loopback that is not named', '10.0.0.1', forwarded(`${CLIENT}, 127.0.0.2, 10.0.0.2`), '127.0.0.2'],
    ['a zone on a hop between', '10.0.0.1', forwarded(`${CLIENT}, fe80::2%eth0, 10.0.0.2`), null],
    ['a zone on the client', '10.0.0.1', forwarded('fe80::7%eth0, 10.0.0.2'), null],
    ['nothing but proxies', '10.0.0.1', forwarded('10.0.0.3, 10.0.0.2'), '10.0.0.3'],
  ])('through proxies in a row: %s', (_, peer, headers, expected) => {
    expect(findAddress({ source: 'x-forwarded-for', trusted: ROW, peer, headers })).toBe(expected)
  })

  it('never makes a direct loopback client of a hop, whatever it says', () => {
    const { find } = setUp('x-forwarded-for', ['127.0.0.0/8', '10.0.0.0/8'])
    const indirect = { isDirectLoopback: false, hostAddresses: [] }
    expect(find('127.0.0.1', forwarded('127.0.0.1'))).toMatchObject(indirect)
    expect(find('127.0.0.1', forwarded(CLIENT))).toEqual({ address: CLIENT, ...indirect })
    expect(find(PROXY, forwarded('::1'))).toEqual({ address: '::1', ...indirect })
  })
})

describe('cf-connecting-ip', () => {
  const header = (value: string): RawHeaders => [['cf-connecting-ip', value]]
  it.each<[string, Partial<Given>, string | null]>([
    ['on the edge', { isEdge: true, headers: header(CLIENT) }, CLIENT],
    ['on the edge, without it', { isEdge: true, headers: forwarded(CLIENT) }, null],
    ['on the edge, twice', { isEdge: true, headers: [...header(CLIENT), ...header(CLIENT)] }, null],
    ['on the edge, joined', { isEdge: true, headers: header(`${CLIENT}, 192.0.2.66`) }, null],
    ['on the edge, junk', { isEdge: true, headers: header('junk') }, null],
    ['from a trusted proxy', { peer: PROXY, trusted: [PROXY], headers: header(` ${CLIENT} `) }, CLIENT],
    ['from a trusted proxy, without it', { peer: PROXY, trusted: [PROXY] }, null],
  ])('%s', (_, given, expected) => {
    expect(findAddress({ source: 'cf-connecting-ip', peer: null, ...given })).toBe(expected)
  })
})

describe('an address that Cloudflare names', () => {
  const named = { address: CLIENT, isDirectLoopback: false, hostAddresses: [], isNamedByEdge: true }
  const headers: RawHeaders = [['CF-Connecting-IP', CLIENT]]

  it('says so, on the edge and behind a trusted proxy', () => {
    expect(setUp('cf-connecting-ip').find(null, headers, true)).toEqual(named)
    expect(setUp('cf-connecting-ip', [PROXY]).find(PROXY, headers)).toEqual(named)
  })

  it('is no other: not of a stranger with that header, not of another source', () => {
    for (const found of [
      setUp('cf-connecting-ip', [PROXY]).find('192.0.2.9', headers),
      setUp('x-forwarded-for', [PROXY]).find(PROXY, [...headers, ...forwarded(CLIENT)]),
      setUp('socket').find('192.0.2.9', headers),
    ]) {
      expect(found).not.toBeNull()
      expect(found).not.toHaveProperty('isNamedByEdge')
    }
  })
})

describe('a socket peer', () => {
  it.each([
    ['::ffff:203.0.113.7', CLIENT],
    ['fe80::1%eth0', 'fe80::1'],
    ['::1', '::1'],
    ['', null],
    ['/run/gate.sock', null],
  ])('%j is %s', (peer, expected) => {
    expect(findAddress({ source: 'socket', peer })).toBe(expected)
  })

  it.each(['127.0.0.1', '127.0.0.9', '::1', '::ffff:127.0.0.1'])(
    '%s without a forwarding header is a direct loopback client and may match the host’s addresses',
    (peer) => {
      const direct = { isDirectLoopback: true, hostAddresses: HOST_ADDRESSES }
      expect(setUp('socket').find(peer, [['Accept', '*/*']])).toMatchObject(direct)
    },
  )

  it('on loopback that is a trusted proxy is never a direct client, whatever it sends', () => {
    const find = setUp('socket', ['127.0.0.1']).find
    expect(find('127.0.0.1')).toEqual({ address: '127.0.0.1', isDirectLoopback: false, hostAddresses: [] })
    expect(find('127.0.0.2')).toMatchObject({ isDirectLoopback: true })
  })

  it('that is not loopback never gets the host’s addresses', () => {
    const expected = { address: '192.0.2.10', isDirectLoopback: false, hostAddresses: [] }
    expect(setUp('socket').find('192.0.2.10')).toEqual(expected)
  })

  // `Via` is what RFC 9110 section 7.6.3 has every proxy send; the others are what proxies send without the first.
  it.each([
    'X-Forwarded-For', 'Forwarded', 'X-Real-IP', 'CF-Connecting-IP', 'True-Client-IP',
    'Via', 'X-Forwarded-Proto', 'X-Forwarded-Host',
  ])('on loopback loses directness by %s: a proxy on this host speaks for anybody', (name) => {
    for (const source of ['socket', 'x-forwarded-for'] as const) {
      const indirect = { address: '127.0.0.1', isDirectLoopback: false, hostAddresses: [] }
      expect(setUp(source, [PROXY]).find('127.0.0.1', [[name.toLowerCase(), '']])).toEqual(indirect)
      expect(setUp(source, [PROXY]).find('127.0.0.1', [[name, '127.0.0.1']])).toEqual(indirect)
    }
  }) // prettier-ignore
})

describe('the warning about a forwarding header that is not trusted', () => {
  it('is written once, and names both settings', () => {
    const { find, log } = setUp('socket')
    for (let round = 0; round < 3; round++) find('127.0.0.1', forwarded(CLIENT))
    expect(log.lines).toHaveLength(1)
    expect(log.lines[0]?.level).toBe('warn')
    expect(JSON.stringify(log.lines)).toMatch(/CLIENT_ADDRESS_FROM.*TRUSTED_PROXIES/)
    expect(JSON.stringify(log.lines)).not.toContain(CLIENT)
  })

  it('is not written for direct clients and trusted proxies', () => {
    const { find, log } = setUp('x-forwarded-for', [PROXY])
    find('127.0.0.1')
    find(PROXY, forwarded(CLIENT))
    expect(log.lines).toEqual([])
  })
})
