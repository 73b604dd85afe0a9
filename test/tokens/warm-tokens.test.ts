/** How old what a gateway keeps of a token may be: five seconds in any case, and no older than the last change that was told. */

import { describe, expect, it } from 'vitest'
import { TOKENS_KEPT, TOKENS_UNKNOWN_KEPT } from '../../src/limits.ts'
import type { TokenRecord } from '../../src/ports.ts'
import { Outage } from '../../src/refusal.ts'
import { createWarmTokens } from '../../src/tokens/warm-tokens.ts'
import { outageOf } from '../gateway/in-memory-ports.ts'

const RECORD: TokenRecord = {
  id: 'tok_aaaaaaaaaaaaaaaa',
  name: 'palma',
  slurmUser: 'alice',
  scopes: ['slurm:read'],
  account: null,
  expiresAt: null,
  revokedAt: null,
  uid: 6001,
  policyVersion: 1,
}
const DIGEST = 'aa'.repeat(32)
const digestOf = (index: number) => index.toString(16).padStart(64, '0')

function setUp(more: { hasFeed?: boolean; maySharePromises?: boolean } = {}) {
  const world = {
    now: 1_000_000,
    isCurrent: true,
    asked: [] as string[],
    answer: (): Promise<TokenRecord | null> => Promise.resolve(RECORD),
    tellChange: (): void => undefined,
  }
  const tokens = createWarmTokens({
    store: {
      findByDigest: (digest) => {
        world.asked.push(Buffer.from(digest).toString('hex'))
        return world.answer()
      },
    },
    changes:
      more.hasFeed === false
        ? null
        : {
            isCurrent: () => world.isCurrent,
            subscribe: (listener) => (world.tellChange = listener),
          },
    maySharePromises: more.maySharePromises ?? true,
    now: () => world.now,
  })
  return { world, find: async (digest = DIGEST) => tokens.find(digest) }
}

describe('a token in use', () => {
  it('is read once for five seconds, under its digest', async () => {
    const { world, find } = setUp()
    for (const later of [0, 1, 4_998]) {
      world.now += later
      expect(await find()).toBe(RECORD)
    }
    expect(world.asked).toEqual([DIGEST])
    world.now += 1
    await find()
    expect(world.asked).toHaveLength(2)
  })

  it('is no older than its look-up’s beginning says, however long that took', async () => {
    const { world, find } = setUp()
    world.answer = () => {
      world.now += 4_000
      return Promise.resolve(RECORD)
    }
    await find()
    world.now += 999
    await find()
    expect(world.asked).toHaveLength(1)
    world.now += 1
    await find()
    expect(world.asked).toHaveLength(2)
  })

  it('is read again after a change was told', async () => {
    const { world, find } = setUp()
    await find()
    world.tellChange()
    world.answer = () => Promise.resolve({ ...RECORD, revokedAt: 1 })
    expect(await find()).toMatchObject({ revokedAt: 1 })
  })

  it('is read for each request while changes may go untold', async () => {
    const { world, find } = setUp()
    await find()
    world.isCurrent = false
    await find()
    await find()
    expect(world.asked).toHaveLength(3)
    world.isCurrent = true
    world.tellChange()
    await find()
    await find()
    expect(world.asked).toHaveLength(4)
  })

  it('whose look-up fails is an outage, as soon as what was kept has aged', async () => {
    const { world, find } = setUp()
    await find()
    world.answer = () => Promise.reject(new Outage('token_store_unavailable', 'gone'))
    world.now += 4_999
    expect(await find()).toBe(RECORD)
    world.now += 1
    expect(await outageOf(() => find())).toBe('token_store_unavailable')
    world.answer = () => Promise.resolve(RECORD)
    expect(await find()).toBe(RECORD)
  })

  it('is not believed by a clock that was set back', async () => {
    const { world, find } = setUp()
    await find()
    world.now -= 1
    await find()
    expect(world.asked).toHaveLength(2)
  })

  it('has five seconds where the runtime cannot listen', async () => {
    const { world, find } = setUp({ hasFeed: false, maySharePromises: false })
    await find()
    world.now += 4_999
    await find()
    expect(world.asked).toHaveLength(1)
    world.now += 1
    await find()
    expect(world.asked).toHaveLength(2)
  })
})

describe('a look-up under way', () => {
  it('is shared by those who ask meanwhile', async () => {
    const { world, find } = setUp()
    await Promise.all(Array.from({ length: 50 }, () => find()))
    expect(world.asked).toHaveLength(1)
  })

  it('is shared by nobody where a request may not wait for another one', async () => {
    const { world, find } = setUp({ maySharePromises: false })
    await Promise.all([find(), find()])
    expect(world.asked).toHaveLength(2)
  })

  it('from before a change is neither kept nor shared with who comes after it', async () => {
    const { world, find } = setUp()
    let answerFirst: (record: TokenRecord) => void = () => undefined
    world.answer = () => new Promise((resolve) => (answerFirst = resolve))
    const before = find()
    world.tellChange()
    world.answer = () => Promise.resolve({ ...RECORD, revokedAt: 1 })
    expect(await find()).toMatchObject({ revokedAt: 1 })
    answerFirst(RECORD)
    expect(await before).toBe(RECORD)
    expect(await find()).toMatchObject({ revokedAt: 1 })
    expect(world.asked).toHaveLength(2)
  })

  it.each([true, false])(
    'of a second ago is shared with nobody: a change since may be older than a second (feed current: %s)',
    async (isCurrent) => {
      const { world, find } = setUp()
      world.isCurrent = isCurrent
      const answers: ((record: TokenRecord) => void)[] = []
      world.answer = () => new Promise((resolve) => answers.push(resolve))
      const first = find()
      world.now += 999
      const second = find()
      expect(world.asked).toHaveLength(1)
      world.now += 1
      const third = find()
      expect(world.asked).toHaveLength(2)
      world.now -= 5_000
      const byAClockSetBack = find()
      expect(world.asked).toHaveLength(3)
      const revoked = { ...RECORD, revokedAt: 1 }
      answers.forEach((answer, index) => {
        answer(index === 0 ? RECORD : revoked)
      })
      expect(await Promise.all([first, second, third, byAClockSetBack])).toEqual([
        RECORD,
        RECORD,
        revoked,
        revoked,
      ])
    },
  )

  it('that fails fails for those who wait, and is asked anew by the next', async () => {
    const { world, find } = setUp()
    world.answer = () => Promise.reject(new Outage('token_store_unavailable', 'gone'))
    const outcomes = await Promise.all([outageOf(() => find()), outageOf(() => find())])
    expect(outcomes).toEqual(['token_store_unavailable', 'token_store_unavailable'])
    expect(world.asked).toHaveLength(1)
    world.answer = () => Promise.resolve(RECORD)
    expect(await find()).toBe(RECORD)
  })
})

describe('what there is no token for', () => {
  it('is known for a second, and for no longer than the next change', async () => {
    const { world, find } = setUp()
    world.answer = () => Promise.resolve(null)
    await find()
    world.now += 999
    expect(await find()).toBeNull()
    expect(world.asked).toHaveLength(1)
    world.tellChange()
    await find()
    world.now += 1_000
    await find()
    expect(world.asked).toHaveLength(3)
  })

  it('is bounded, and pushes out no token that is in use', async () => {
    const { world, find } = setUp()
    await find()
    world.answer = () => Promise.resolve(null)
    for (let index = 0; index <= TOKENS_UNKNOWN_KEPT; index += 1) await find(digestOf(index))
    const asked = world.asked.length
    await find()
    await find(digestOf(TOKENS_UNKNOWN_KEPT))
    expect(world.asked).toHaveLength(asked)
    await find(digestOf(0))
    expect(world.asked).toHaveLength(asked + 1)
  })
})

it('the oldest of too many tokens is read again', async () => {
  const { world, find } = setUp()
  for (let index = 0; index <= TOKENS_KEPT; index += 1) await find(digestOf(index))
  await find(digestOf(1))
  expect(world.asked).toHaveLength(TOKENS_KEPT + 1)
  await find(digestOf(0))
  expect(world.asked).toHaveLength(TOKENS_KEPT + 2)
})
