/** STYLE 1: audit comes before the upstream. With a log whose lines are not out at once, nothing goes on until they are. */

import { expect, it } from 'vitest'
import { bearer, CACHE_OFF, createInMemoryGate } from './in-memory-gate.ts'

const JOBS = '/slurm/v0.0.42/jobs'

/** A log that has its lines out when `release` is called. */
function holdLines(gate: ReturnType<typeof createInMemoryGate>): { readonly release: () => void } {
  let release = (): void => undefined
  const written = new Promise<void>((resolve) => (release = resolve))
  gate.world.whenWritten = () => written
  return {
    release: () => {
      gate.world.whenWritten = () => null
      release()
    },
  }
}

/** Whatever can run without the log has run. */
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20))

it.each([
  ['a call', JOBS],
  ['slurmrestd’s description of itself', '/openapi/v3'],
])('%s goes upstream only when the line of its decision is written', async (_, target) => {
  const gate = createInMemoryGate()
  const lines = holdLines(gate)
  const answer = gate.send(target, { headers: [bearer('free')] })
  await settle()
  expect(gate.events).toHaveLength(1)
  expect(gate.events[0]).toMatch(/^decision /)
  expect(gate.world.sent).toEqual([])
  lines.release()
  expect((await answer).status).toBe(200)
  expect(gate.world.sent).toHaveLength(1)
})

it.each([
  ['a refusal', JOBS, 401],
  ['a failure', JOBS, 500],
] as const)('%s is answered only when its line is written', async (what, target, status) => {
  const gate = createInMemoryGate()
  const isRefusal = what === 'a refusal'
  gate.world.findVersions = () => {
    throw new Error('down')
  }
  const lines = holdLines(gate)
  let isAnswered = false
  const headers = isRefusal ? [] : [bearer('free')]
  const answer = gate.send(target, { headers }).then((answered) => {
    isAnswered = true
    return answered
  })
  await settle()
  expect(gate.events).toHaveLength(1)
  expect(isAnswered).toBe(false)
  lines.release()
  expect((await answer).status).toBe(status)
})

it('an answer from memory is given only when the line of its decision is written', async () => {
  const gate = createInMemoryGate({
    cache: { ...CACHE_OFF, ttlSeconds: { jobs: 9, nodes: 0, accounting: 0 }, entryMaxBytes: 9_999, maxBytes: 99_999 },
  }) // prettier-ignore
  await gate.send(JOBS, { headers: [bearer('free')] })
  gate.events.length = 0
  const lines = holdLines(gate)
  let isAnswered = false
  const answer = gate.send(JOBS, { headers: [bearer('free')] }).then((answered) => {
    isAnswered = true
    return answered
  })
  await settle()
  expect(gate.events).toHaveLength(1)
  expect(isAnswered).toBe(false)
  lines.release()
  expect((await answer).status).toBe(200)
})
