/** A MUNGE credential is good for one use. */

import { expect } from 'vitest'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectForwarded, expectRefusal } from '../expect-answer.ts'
import { asMunge } from './munge.ts'

const SOURCE = 'CONTRACT HTTP, 401'

export const MUNGE_REPLAY_CASES: readonly ConformanceCase[] = [
  {
    name: 'a credential is taken once and refused the second time',
    source: SOURCE,
    async run(bench) {
      const headers = [asMunge(await bench.makeCredential())]
      expectForwarded(bench, await bench.send({ headers }))
      bench.reset()
      expectRefusal(bench, await bench.send({ headers }), 'munge_replayed')
    },
  },
  {
    name: 'of eight simultaneous uses of one credential exactly one is taken',
    source: SOURCE,
    async run(bench) {
      const headers = [asMunge(await bench.makeCredential())]
      const answers = await Promise.all(Array.from({ length: 8 }, () => bench.send({ headers })))
      expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(7).fill(401)])
      expect(bench.world.upstream.operations).toHaveLength(1)
    },
  },
  {
    name: 'a replay is refused even by a munged that forgot the first use',
    source: 'munge.md: replay memory is per munged; munged forgets replays when it restarts',
    async run(bench) {
      const headers = [asMunge(await bench.makeCredential())]
      expectForwarded(bench, await bench.send({ headers }))
      await bench.world.munge.stop()
      await bench.world.munge.start()
      bench.reset()
      expectRefusal(bench, await bench.send({ headers }), 'munge_replayed')
    },
  },
]
