/** Nothing of one user is ever served to another, in whatever order calls begin, end, fail, and are kept or shared. */

import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ANSWER_OVERHEAD_BYTES } from '../../src/limits.ts'
import { Outage } from '../../src/refusal.ts'
import { buildToken, MUNGE_ALICE } from '../gateway/in-memory-ports.ts'
import { buildJobs, createWorld } from './answer-world.ts'

const USERS = ['alice', 'bob', 'carol'] as const
const PATHS = ['/slurm/v0.0.42/jobs', '/slurm/v0.0.41/jobs', '/slurm/v0.0.42/job/7', '/slurmdb/v0.0.42/jobs']

const STEP = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('read' as const), user: fc.nat(2), path: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(3)), by: fc.nat(2) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('write' as const), user: fc.nat(2) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('answer' as const), which: fc.nat(2), fails: fc.integer({ min: 0, max: 9 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), milliseconds: fc.nat(2_500) }) },
) // prettier-ignore

/** A credential of the user: by MUNGE, or one of two API tokens. */
function buildPrincipal(index: number, by: number) {
  const slurmUser = USERS[index] ?? 'alice'
  const uid = 1001 + index
  return by === 0
    ? { ...MUNGE_ALICE, slurmUser, uid }
    : {
        ...buildToken(['slurm:read', 'slurmdb:read', 'slurm:jobs:manage']),
        slurmUser,
        uid,
        policyVersion: by,
      }
}

it('holds for every interleaving, and no read sees what was before a write of its user that had ended', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(STEP, { minLength: 40, maxLength: 80 }), async (steps) => {
      const { world, begin } = createWorld({
        staleSeconds: 5,
        entryMaxBytes: 400,
        maxBytes: 3 * ANSWER_OVERHEAD_BYTES,
      })
      world.isPrompt = false
      const writesEnded = new Map<string, number>()
      const running: Promise<void>[] = []
      const given = new Set<number>()

      /** The answer says for whom it was asked, and how many writes of that user had ended by then. */
      const give = (index: number, fails: boolean): void => {
        const asked = world.asked[index]
        if (asked === undefined || given.has(index)) return
        given.add(index)
        if (fails) asked.answer(Promise.reject(new Outage('upstream_unreachable', 'gone')))
        else asked.answer(buildJobs(`${asked.user}#${String(writesEnded.get(asked.user) ?? 0)}#`))
      }

      /** The n-th of those that were not answered yet. */
      const findWaiting = (n: number): number =>
        world.asked.map((_, index) => index).filter((index) => !given.has(index))[n] ?? -1

      for (const step of steps) {
        if (step.kind === 'wait') world.now += step.milliseconds
        else if (step.kind === 'answer') give(findWaiting(step.which), step.fails === 0)
        else {
          const principal = buildPrincipal(step.user, step.kind === 'read' ? step.by : 1)
          const user = principal.slurmUser
          const ended = writesEnded.get(user) ?? 0
          const isWrite = step.kind === 'write'
          const ask = isWrite
            ? { principal, method: 'DELETE', path: '/slurm/v0.0.42/job/7' }
            : { principal, path: PATHS[step.path] ?? '' }
          const { found } = await begin(ask)
          const check = async (): Promise<void> => {
            const { answer, release } = await found.catch((cause: unknown) => {
              if (cause instanceof Outage) return { answer: null, release: () => undefined }
              throw cause
            })
            const text = answer === null ? null : await new Response(answer.body).text()
            release()
            if (isWrite) writesEnded.set(user, (writesEnded.get(user) ?? 0) + 1)
            if (text === null) return
            const [, owner, count] = /"(\w+)#(\d+)#"/.exec(text) ?? []
            expect(owner).toBe(user)
            expect(Number(count)).toBeGreaterThanOrEqual(ended)
          }
          running.push(check())
        }
        await new Promise((resolve) => setImmediate(resolve))
      }
      for (let index = 0; index < world.asked.length; index += 1) {
        give(index, false)
        await new Promise((resolve) => setImmediate(resolve))
      }
      await Promise.all(running)
    }),
    { numRuns: 300 },
  )
})
