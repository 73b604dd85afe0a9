/** The host map's text: what it means, and that every problem is named with its line. Source: CONTRACT "Host binding". */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAddressRange } from '../../src/ip-address.ts'
import { HOST_MAP_MAX_BYTES } from '../../src/limits.ts'
import { parseHostMap, type HostMap } from '../../src/munge/host-map.ts'

function requireMap(text: string): HostMap {
  const map = parseHostMap(text)
  if ('problems' in map) throw new Error(map.problems.join('; '))
  return map
}

function findProblems(text: string): readonly string[] {
  const map = parseHostMap(text)
  return 'problems' in map ? map.problems : []
}

describe('a good map', () => {
  it.each([
    ['one line', '10.1.0.7 192.168.5.7'],
    ['its line end', '10.1.0.7 192.168.5.7\n'],
    ['line ends of Windows', '# hosts\r\n10.1.0.7 192.168.5.7\r\n\r\n'],
    ['tabs and spaces', '\t10.1.0.7\t \t192.168.5.7 \t\n'],
    ['comments and blank lines', '# hosts\n\n10.1.0.7 192.168.5.7# node07, in rack é\n   # 10.1.0.8 x\n'],
    ['the origin among the addresses', '10.1.0.7 10.1.0.7 192.168.5.7'],
    ['an address twice', '10.1.0.7 192.168.5.7 192.168.5.7'],
    ['a range with an address of its own', '10.1.0.7 192.168.5.0/24 192.168.5.7'],
    ['an IPv4-mapped client', '10.1.0.7 ::ffff:192.168.5.7'],
    ['an IPv4-mapped origin', '::ffff:10.1.0.7 192.168.5.7'],
    ['a range of one', '10.1.0.7 192.168.5.7/32'],
    ['shared, with nobody to share with', '10.1.0.7 shared 192.168.5.7'],
    ['shared at the end', '10.1.0.7 192.168.5.7 shared'],
  ])('takes %s', (_what, text) => {
    const map = requireMap(text)
    expect(map.hosts).toBe(1)
    expect(map.has('10.1.0.7', '192.168.5.7')).toBe(true)
    expect(map.has('10.1.0.7', '192.168.6.7')).toBe(false)
    expect(map.has('10.1.0.8', '192.168.5.7')).toBe(false)
  })

  it('takes IPv6 in any spelling, addresses and ranges', () => {
    const map = requireMap('10.1.0.7 2001:DB8:0::7/128 2001:db8:7::/64 2001:db8::0:0:9')
    for (const client of ['2001:db8::7', '2001:db8:7::1', '2001:db8:7:0:ffff::', '2001:db8::9'])
      expect(map.has('10.1.0.7', client)).toBe(true)
    for (const client of ['2001:db8::8', '2001:db8:7:1::']) expect(map.has('10.1.0.7', client)).toBe(false)
  })

  it('lets hosts behind one address share it where each says so', () => {
    const map = requireMap('10.1.0.7 shared 192.0.2.1\n10.1.0.8 shared 192.0.2.0/30 \n10.1.0.9 192.0.2.9')
    expect([map.hosts, map.sharedHosts]).toEqual([3, 2])
    expect(map.has('10.1.0.7', '192.0.2.1') && map.has('10.1.0.8', '192.0.2.1')).toBe(true)
    expect(map.has('10.1.0.9', '192.0.2.1')).toBe(false)
  })
})

describe('a problem names its line', () => {
  it.each([
    ['a loopback origin', '127.0.1.1 10.1.0.7', /^line 1, word 1: .*loopback/],
    ['a loopback origin written in IPv6', '::ffff:127.0.0.1 10.1.0.7', /^line 1, word 1: .*loopback/],
    ['an IPv6 origin', '2001:db8::7 10.1.0.7', /^line 1, word 1: .*one IPv4/],
    ['the IPv6 loopback for an origin', '::1 10.1.0.7', /^line 1, word 1: .*one IPv4/],
    ['the unspecified origin', '0.0.0.0 10.1.0.7', /^line 1, word 1: .*unspecified/],
    ['a range for an origin', '10.1.0.0/24 10.1.0.7', /^line 1, word 1: .*one IPv4/],
    ['a name for an origin', 'node07 10.1.0.7', /^line 1, word 1: .*one IPv4/],
    ['an octal origin', '10.1.0.07 10.1.0.7', /^line 1, word 1: .*one IPv4/],
    ['a multicast origin', '224.0.0.1 10.1.0.7', /^line 1, word 1: .*multicast/],
    ['shared in front', 'shared 10.1.0.7 192.0.2.1', /^line 1, word 1: .*comes after it/],
    ['no addresses', '10.1.0.7', /^line 1: names no address/],
    ['no addresses but shared', '10.1.0.7 shared', /^line 1: names no address/],
    ['addresses behind a comment', '10.1.0.7 # 10.1.0.8', /^line 1: names no address/],
    ['a loopback client', '10.1.0.7 127.0.0.9', /^line 1, word 2: .*loopback/],
    ['a loopback range', '10.1.0.7 127.0.0.0/24', /^line 1, word 2: .*loopback/],
    ['the IPv6 loopback', '10.1.0.7 10.1.0.7 ::1', /^line 1, word 3: .*loopback/],
    ['a mapped loopback client', '10.1.0.7 ::ffff:127.0.0.1', /^line 1, word 2: .*loopback/],
    ['the unspecified client', '10.1.0.7 0.0.0.0', /^line 1, word 2: .*unspecified/],
    ['the unspecified client in IPv6', '10.1.0.7 ::', /^line 1, word 2: .*unspecified/],
    ['everything', '10.1.0.7 0.0.0.0/0', /^line 1, word 2: .*wider than \/24/],
    ['everything in IPv6', '10.1.0.7 ::/0', /^line 1, word 2: .*wider than \/64/],
    ['a range of many hosts', '10.1.0.7 10.1.0.0/23', /^line 1, word 2: .*wider than \/24/],
    ['an IPv6 range of many hosts', '10.1.0.7 2001:db8::/63', /^line 1, word 2: .*wider than \/64/],
    ['the whole of translated IPv4', '10.1.0.7 64:ff9b::/96', /^line 1, word 2: .*translated/],
    ['the range around the loopback', '10.1.0.7 ::/64', /^line 1, word 2: .*(unspecified|loopback)/],
    ['an IPv4-mapped range', '10.1.0.7 ::ffff:10.1.0.0/120', /^line 1, word 2: is no address/],
    ['a link-local address', '10.1.0.7 fe80::7', /^line 1, word 2: .*link-local/],
    ['a zone id', '10.1.0.7 fe80::7%eth0', /^line 1, word 2: .*zone id/],
    ['a zone id on a global address', '10.1.0.7 2001:db8::7%1', /^line 1, word 2: .*zone id/],
    ['a multicast client', '10.1.0.7 ff02::1', /^line 1, word 2: .*multicast/],
    ['the broadcast address', '10.1.0.7 255.255.255.255', /^line 1, word 2: .*broadcast/],
    ['an interface with its prefix, as ip prints it', '10.1.0.7 192.168.5.7/24', /^line 1, word 2: .*leave the prefix out/],
    ['a host name', '10.1.0.7 node07', /^line 1, word 2: is no address/],
    ['a comma list', '10.1.0.7 10.1.0.8,10.1.0.9', /^line 1, word 2: is no address/],
    ['Shared', '10.1.0.7 Shared 10.1.0.8', /^line 1, word 2: is no address/],
    ['a control character', '10.1.0.7 10.1.0.8\u0000', /^line 1, word 2: is no address/],
    ['a no-break space', '10.1.0.7\u00a0x 10.1.0.8', /^line 1, word 1: /],
    ['nothing at all', '', /^names no host$/],
    ['comments only', '# 10.1.0.7 10.1.0.8\n', /^names no host$/],
    ['an origin twice', '10.1.0.7 192.168.5.7\n\n::ffff:10.1.0.7 192.168.5.8', /^line 3: .*line 1 already/],
    ['an address of two hosts', '10.1.0.7 192.0.2.1\n10.1.0.8 192.0.2.1', /^line 2: .*line 1; .*shared/],
    ['an address of two hosts, one of them shared', '10.1.0.7 shared 192.0.2.1\n10.1.0.8 192.0.2.1', /^line 2: .*line 1/],
    ['an address within another host’s range', '10.1.0.7 192.0.2.9\n10.1.0.8 192.0.2.0/28', /^line 2: .*line 1/],
    ['ranges that nest', '10.1.0.7 2001:db8::/64\n10.1.0.8 2001:db8::/80', /^line 2: .*line 1/],
    ['an address written in IPv6 for one of two', '10.1.0.7 192.0.2.1\n10.1.0.8 ::ffff:c000:201', /^line 2: .*line 1/],
    ['another host’s origin', '10.1.0.7 10.1.0.8\n10.1.0.8 192.0.2.1', /^line 2: .*line 1/],
    ['another host’s origin within a range', '10.1.0.7 10.1.0.0/24\n10.1.0.8 192.0.2.1', /^line 2: .*line 1/],
  ])('%s', (_what, text, expected) => {
    const problems = findProblems(text)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(expected)
  }) // prettier-ignore

  it('all of them at once, and no text of the file: it may be a key', () => {
    const text =
      'canary-1 10.1.0.8\n\n10.1.0.7 canary-2 0.0.0.0/0\n10.1.0.9\n10.1.0.9 198.51.100.1\n10.1.0.9 192.0.2.1'
    const problems = findProblems(text)
    expect(problems.map((problem) => /^line \d+(?:, word \d+)?/.exec(problem)?.[0])).toEqual([
      'line 1, word 1',
      'line 3, word 2',
      'line 3, word 3',
      'line 4',
      'line 6',
    ])
    expect(problems.join()).not.toMatch(/canary|10\.1|198\.51/)
  })

  it('twenty of them, and how many more there are', () => {
    const problems = findProblems('x y\n'.repeat(300))
    expect(problems).toHaveLength(21)
    expect(problems.at(-1)).toBe('and 580 more')
  })
})

const octet = fc.integer({ min: 0, max: 3 })
const clientOf = fc.tuple(octet, fc.constantFrom(24, 30, 31, 32)).map(([low, prefix]) => {
  const base = prefix === 32 ? low : prefix === 31 ? low & 2 : 0
  return `198.51.100.${base}/${prefix}`
})
const hostOf = fc.record({
  isShared: fc.boolean(),
  clients: fc.array(clientOf, { minLength: 1, maxLength: 3 }),
})

it('no address of a map that is taken stands for two hosts unless both are shared, and every other map is taken', () => {
  fc.assert(
    fc.property(fc.array(hostOf, { minLength: 1, maxLength: 5 }), (hosts) => {
      const text = hosts.map(({ isShared, clients }, index) =>
        [`10.1.0.${index}`, isShared ? 'shared' : '', ...clients].join(' '),
      )
      const ranges = hosts.map(({ clients }) => clients.map((client) => parseAddressRange(client)))
      const isClean = hosts.every((a, i) =>
        hosts.every(
          (b, j) =>
            i >= j ||
            (a.isShared && b.isShared) ||
            !ranges[i]?.some((x) => ranges[j]?.some((y) => x && y && (x.covers(y) || y.covers(x)))),
        ),
      )
      expect(findProblems(text.join('\n')).length === 0).toBe(isClean)
    }),
    { numRuns: 2000 },
  )
})

describe('size', () => {
  const hosts = (count: number): string =>
    Array.from({ length: count }, (_, i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255} 2001:db8::${i.toString(16)}`).join('\n')

  it('a map of 20,000 hosts is taken, one more line is not', () => {
    expect(requireMap(`${hosts(20_000)}\n`).hosts).toBe(20_000)
    expect(findProblems(`${hosts(20_000)}\n#\n`)).toEqual(['has more than 20000 lines'])
  })

  it('the largest file there can be is judged in a time that holds up nobody for long', () => {
    const shared = Array.from({ length: 19_000 }, (_, i) => `10.0.${i >> 8}.${i & 255} shared 1.2.3.4 1.2.3.0/24 1.2.3.5`)
    const texts = [shared.join('\n'), `10.0.0.1${' 1.2.3.4'.repeat(HOST_MAP_MAX_BYTES / 8 - 2)}`, ' '.repeat(HOST_MAP_MAX_BYTES)]
    for (const text of texts) {
      const startedAt = performance.now()
      parseHostMap(text)
      expect(performance.now() - startedAt).toBeLessThan(10_000)
    }
  })
}) // prettier-ignore
