/** CONTRACT `SLURM_API_VERSIONS`: learnt from slurmrestd's own document, refreshed, and 503 until learnt. */

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  OPENAPI_MAX_BYTES,
  VERSIONS_TIMEOUT_MILLISECONDS,
  VERSIONS_TURN_MILLISECONDS,
} from '../../src/limits.ts'
import type { UpstreamAnswer, UpstreamRequest } from '../../src/ports.ts'
import { Outage } from '../../src/refusal.ts'
import { createVersionCatalog, readVersions } from '../../src/version-catalog.ts'
import { buildAnswer, createMemoryLog, createStream, outageOf } from './in-memory-ports.ts'

const document = (...versions: readonly number[]) => ({
  paths: Object.fromEntries(versions.map((version) => [`/slurm/v0.0.${version}/jobs/`, {}])),
})

function setUp(
  setting: 'auto' | readonly number[] = 'auto',
  maySharePromises = true,
  timeoutMilliseconds = 5_000,
) {
  const sent: UpstreamRequest[] = []
  const world = {
    now: 1_000_000,
    answer: (): UpstreamAnswer | Promise<UpstreamAnswer> => buildAnswer(200, document(40, 41)),
  }
  const log = createMemoryLog()
  const catalog = createVersionCatalog({
    setting,
    upstream: {
      send: async (request) => {
        sent.push(request)
        return world.answer()
      },
    },
    timeoutMilliseconds,
    maySharePromises,
    now: () => world.now,
    log,
  })
  return { sent, world, log, catalog }
}

const gone = (): never => {
  throw new Outage('upstream_unreachable', 'gone')
}

describe('the versions in a document', () => {
  it.each<[string, unknown, number[]]>([
    ['sorted by number', document(41, 9, 40, 45, 36), [36, 40, 41, 45]],
    ['those the table knows only', document(1, 35, 36, 45, 46, 100, 999), [36, 45]],
    ['without the accounting alone', { paths: { '/slurmdb/v0.0.42/jobs/': {}, '/slurm/v0.0.41/jobs/': {} } }, [41]],
    ['in their canonical form only', { paths: { '/slurm/v0.0.042/jobs': {}, '/slurm/v0.0.4e1/x': {}, '/slurm/v0.0.42': {}, 'x/slurm/v0.0.42/': {}, '/slurm/v0.0.42evil/x': {} } }, []],
    ['none without paths', {}, []],
    ['none in paths that are no object', { paths: ['/slurm/v0.0.42/jobs'] }, []],
    ['none in null', null, []],
    ['none in text', '/slurm/v0.0.42/jobs', []],
  ])('%s', (_, given, expected) => {
    expect(readVersions(given)).toEqual(expected)
  }) // prettier-ignore
})

it('an operator’s list is served as it is, and nobody is asked', async () => {
  const { catalog, sent } = setUp([40, 42])
  expect(await catalog.findVersions()).toEqual([40, 42])
  expect(sent).toEqual([])
})

describe('auto', () => {
  it('asks once, without a user’s token, and uses the answer for five minutes', async () => {
    const { catalog, sent, world } = setUp()
    expect(await catalog.findVersions()).toEqual([40, 41])
    world.now += 299_999
    expect(await catalog.findVersions()).toEqual([40, 41])
    expect(sent).toHaveLength(1)
    expect(sent[0]).toMatchObject({ method: 'GET', target: '/openapi/v3', body: null })
    expect(Object.keys(sent[0]?.headers ?? {}).sort()).toEqual([
      ...['accept', 'x-slurm-user-name', 'x-slurm-user-token'],
    ])
    // 22.05 wants a name too, and takes any (measured).
    expect(sent[0]?.headers['x-slurm-user-name']).toBe('nobody')
    expect(sent[0]?.headers['x-slurm-user-token']).not.toContain('.')
  })

  it.each([
    [60_000, VERSIONS_TIMEOUT_MILLISECONDS],
    [5_000, 5_000],
  ])('waits no longer than it takes, whatever calls may take (%i: %i)', async (setting, expected) => {
    const { catalog, sent } = setUp('auto', true, setting)
    await catalog.findVersions()
    expect(sent[0]?.timeoutMilliseconds).toBe(expected)
  })

  it('asks again once the clock was set back, after an answer and after a failure', async () => {
    const { catalog, sent, world } = setUp()
    world.answer = gone
    expect(await outageOf(() => catalog.findVersions())).toBe('versions_unknown')
    world.now -= 3_600_000
    world.answer = () => buildAnswer(200, document(41))
    expect(await catalog.findVersions()).toEqual([41])
    world.now -= 3_600_000
    world.answer = () => buildAnswer(200, document(42))
    expect(await catalog.findVersions()).toEqual([42])
    expect(sent).toHaveLength(3)
  })

  it('notices an upgrade of slurmrestd after five minutes', async () => {
    const { catalog, world } = setUp()
    await catalog.findVersions()
    world.answer = () => buildAnswer(200, document(41, 42))
    world.now += 300_000
    expect(await catalog.findVersions()).toEqual([41, 42])
  })

  it('keeps what it learnt while slurmrestd is gone, and asks again a second later at the earliest', async () => {
    const { catalog, sent, world, log } = setUp()
    await catalog.findVersions()
    world.answer = gone
    world.now += 300_000
    for (let request = 0; request < 5; request++) expect(await catalog.findVersions()).toEqual([40, 41])
    expect(sent).toHaveLength(2)
    world.now += 1_000
    await catalog.findVersions()
    expect(sent).toHaveLength(3)
    expect(log.lines.map(({ event }) => event)).toContain('versions_not_learnt')
  })

  it('lets one request ask for news while the others use what is known', async () => {
    const { catalog, sent, world } = setUp()
    await catalog.findVersions()
    world.now += 300_000
    world.answer = () => new Promise(() => undefined)
    void catalog.findVersions()
    expect(await catalog.findVersions()).toEqual([40, 41])
    world.now += VERSIONS_TURN_MILLISECONDS - 1
    expect(await catalog.findVersions()).toEqual([40, 41])
    expect(sent).toHaveLength(2)
  })

  it.each<[string, () => UpstreamAnswer]>([
    ['slurmrestd is gone', gone],
    ['it answers 500', () => buildAnswer(500, document(42))],
    ['it answers no JSON', () => buildAnswer(200, '<html>')],
    ['it answers nothing', () => ({ status: 200, contentType: null, contentLength: 0, body: null })],
    ['it names no version that is known', () => buildAnswer(200, document(46))],
    ['it answers without end', () => ({ ...buildAnswer(200, ''), body: createEndless() })],
    [
      'its answer breaks off',
      () => ({ ...buildAnswer(200, ''), body: createStream(['{', new Error('cut')]).stream }),
    ],
  ])(
    'has learnt nothing where %s: an outage, also for those who ask within the second',
    async (_, answer) => {
      const { catalog, sent, world } = setUp()
      world.answer = answer
      expect(await outageOf(() => catalog.findVersions())).toBe('versions_unknown')
      expect(await outageOf(() => catalog.findVersions())).toBe('versions_unknown')
      expect(sent).toHaveLength(1)
      world.now += 1_000
      world.answer = () => buildAnswer(200, document(42))
      expect(await catalog.findVersions()).toEqual([42])
    },
  )
})

describe('before anything is known, requests that come together', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it.each([true, false])('ask once, and all learn it (promises shared: %s)', async (mayShare) => {
    const { catalog, sent } = setUp('auto', mayShare)
    const all = Promise.all(Array.from({ length: 500 }, () => catalog.findVersions()))
    await vi.advanceTimersByTimeAsync(VERSIONS_TURN_MILLISECONDS)
    expect(new Set((await all).map(String))).toEqual(new Set(['40,41']))
    expect(sent).toHaveLength(1)
  })

  it.each([true, false])(
    'ask once, and all are 503 where that fails (promises shared: %s)',
    async (mayShare) => {
      const { catalog, sent, world } = setUp('auto', mayShare)
      world.answer = gone
      const all = Promise.all(Array.from({ length: 500 }, () => outageOf(() => catalog.findVersions())))
      await vi.advanceTimersByTimeAsync(VERSIONS_TURN_MILLISECONDS)
      expect(new Set(await all)).toEqual(new Set(['versions_unknown']))
      expect(sent).toHaveLength(1)
    },
  )
})

function createEndless(): ReadableStream<Uint8Array> {
  const piece = new Uint8Array(1024 * 1024).fill(0x20)
  return createStream(Array.from({ length: OPENAPI_MAX_BYTES / piece.length + 2 }, () => piece)).stream
}
