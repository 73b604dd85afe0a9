/** The small adapters of Node that the verifier stands on. */

import { networkInterfaces } from 'node:os'
import { expect, test } from 'vitest'
import { createHostAddresses } from '../../functions/node/host-addresses.ts'
import { createJsonLog } from '../../functions/node/json-log.ts'
import { parseAddress } from '../../src/ip-address.ts'

test('a log line is one line of JSON, whatever stands in it, and its own fields cannot be replaced', () => {
  const lines: string[] = []
  const log = createJsonLog({ level: 'info', clock: () => 0, writeLine: (line) => lines.push(line) })
  log.write('warn', 'event', {
    time: 'never',
    level: 'none',
    event: 'other',
    text: 'a\nb',
    big: 5n,
    error: new Error('no'),
  })
  expect(lines.length).toBe(1)
  expect(lines[0]?.indexOf('\n')).toBe((lines[0]?.length ?? 0) - 1)
  expect(JSON.parse(lines[0] ?? '')).toEqual({
    time: '1970-01-01T00:00:00.000Z',
    level: 'warn',
    event: 'event',
    text: 'a\nb',
    big: '5',
    error: 'no',
  })
})

test('lines below the level are dropped, but never a decision', () => {
  const lines: string[] = []
  const log = createJsonLog({ level: 'warn', clock: () => 0, writeLine: (line) => lines.push(line) })
  for (const level of ['debug', 'info', 'warn', 'error', 'audit'] as const) log.write(level, level, {})
  expect(lines.map((line) => (JSON.parse(line) as { level: string }).level)).toEqual([
    'warn',
    'error',
    'audit',
  ])
})

test("this host's addresses are canonical, without loopback, each once, IPv4 first", () => {
  const addresses = createHostAddresses(() => 0)()
  const outside = Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .filter((entry) => !entry.internal)
  expect(addresses.length).toBe(new Set(outside.map((entry) => entry.address)).size)
  for (const address of addresses) expect(parseAddress(address)).toBe(address)
  const families = addresses.map((address) => (address.includes(':') ? 6 : 4))
  expect(families).toEqual([...families].sort())
})
