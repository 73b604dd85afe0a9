/** Streams are read with a cap, looked into without loss, and given up when they fall silent. */

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import fc from 'fast-check'
import { failOnSilence, peek, readAll } from '../../src/byte-stream.ts'
import { createStream } from './in-memory-ports.ts'

const pieces = fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 10 })
const join = (parts: readonly Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]))

describe('readAll', () => {
  it('gives every byte up to the cap, and nothing beyond it, however the bytes are cut', async () => {
    await fc.assert(
      fc.asyncProperty(pieces, fc.nat(200), async (parts, cap) => {
        const whole = join(parts)
        const { stream, watch } = createStream(parts)
        const read = await readAll(stream, cap)
        expect(read).toEqual(whole.length <= cap ? whole : null)
        expect(watch.isCancelled).toBe(whole.length > cap)
      }),
    )
  })

  it('stops at the piece that is too much', async () => {
    const { stream, watch } = createStream(Array.from({ length: 100 }, () => 'xxxx'))
    expect(await readAll(stream, 8)).toBeNull()
    expect(watch).toEqual({ pulled: 3, isCancelled: true })
  })

  it('reads no stream as nothing', async () => {
    expect(await readAll(null, 0)).toEqual(new Uint8Array(0))
  })

  it('throws what the stream throws', async () => {
    await expect(readAll(createStream(['a', new Error('cut')]).stream, 10)).rejects.toThrow('cut')
  })
})

describe('peek', () => {
  it('loses no byte and reads no more than it was told to, whatever the pieces', async () => {
    await fc.assert(
      fc.asyncProperty(pieces, fc.nat(100), async (parts, cap) => {
        const whole = join(parts)
        const { head, isWhole, stream } = await peek(createStream(parts).stream, cap)
        expect(whole.slice(0, head.length)).toEqual(head)
        expect(isWhole).toBe(whole.length <= cap)
        expect(head.length).toBeLessThanOrEqual(cap + 20)
        expect(await readAll(stream, 1000)).toEqual(whole)
      }),
    )
  })

  it('leaves the rest of a long stream where it is until somebody reads it', async () => {
    const { stream, watch } = createStream(Array.from({ length: 1000 }, () => 'xxxx'))
    const peeked = await peek(stream, 8)
    expect(watch.pulled).toBeLessThanOrEqual(4)
    await peeked.stream.cancel()
    expect(watch.isCancelled).toBe(true)
  })

  it('passes on a break behind what was looked at', async () => {
    const { stream } = await peek(createStream(['aaaa', 'bbbb', new Error('cut')]).stream, 2)
    await expect(readAll(stream, 100)).rejects.toThrow('cut')
  })

  it('throws on a break within it', async () => {
    await expect(peek(createStream([new Error('cut')]).stream, 10)).rejects.toThrow('cut')
  })
})

describe('failOnSilence', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())
  const silent = () => new Error('silent')

  it('changes nothing where pieces come in time, and leaves no timer', async () => {
    const stream = failOnSilence(createStream(['a', 'b']).stream, 1000, silent)
    expect(await readAll(stream, 10)).toEqual(Uint8Array.from([97, 98]))
    expect(vi.getTimerCount()).toBe(0)
  })

  it.each([
    ['at once', () => Promise.resolve()],
    ['with an error', () => Promise.reject(new Error('broken'))],
    ['never', () => new Promise<void>(() => undefined)],
  ])('fails after the silence, where the source lets go %s', async (_, cancel) => {
    const source = new ReadableStream<Uint8Array>({ pull: () => new Promise(() => undefined), cancel })
    const outcome = readAll(failOnSilence(source, 1000, silent), 10).catch((cause: unknown) => String(cause))
    let isOver = false
    void outcome.then(() => (isOver = true))
    await vi.advanceTimersByTimeAsync(999)
    expect(isOver).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect(isOver).toBe(true)
    expect(await outcome).toBe('Error: silent')
  })

  it('passes on a break, and a reader that gives up', async () => {
    const broken = failOnSilence(createStream(['a', new Error('cut')]).stream, 1000, silent)
    await expect(readAll(broken, 10)).rejects.toThrow('cut')
    const { stream, watch } = createStream(['a', 'b', 'c'])
    await failOnSilence(stream, 1000, silent).cancel()
    expect(watch.isCancelled).toBe(true)
  })
})
