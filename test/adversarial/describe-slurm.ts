/** The tests of one real Slurm: listed attacks, generated ones beside an honest client, and the shield for other callers. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ALICE, OTHER_ACCOUNT } from '../integration/real-cluster.ts'
import { compareWithTable, describeVersions, type OpenApiDocument } from '../support/openapi-routes.ts'
import { sleep } from '../support/program.ts'
import { runAttacks } from './attack-run.ts'
import { ATTACK_CLASSES } from './attacks/all.ts'
import { runHonestRequests } from './honest-run.ts'
import { runHostileRequests, type HostileFigures, type HostileRunOptions } from './hostile-run.ts'
import { makeFixtures, type Fixtures } from './job-fixtures.ts'
import { startRealSlurm, type RealSlurm, type SlurmUnderTest } from './real-slurm.ts'
import { requireNone, report, scale, SEED } from './share.ts'
import { findSlurmObstacle } from '../support/slurm-obstacle.ts'
import { createWatch, type Watch } from './watch.ts'

const FORWARDED_LEAST = scale(5_000)
const LATER_IN_42 = 'DELETE /slurm/reservation/{}'
/** So many generated requests reach slurmrestd for sure; a gate that refuses more of them is a finding too. */
const REQUESTS_PER_FORWARDED = 12

/** Whose jobs these change is Slurm's business; that the daemons outlive it is the gate's. */
const UNRESTRICTED: readonly (Pick<HostileRunOptions, 'callers' | 'offset'> & {
  readonly name: string
  readonly fullCount: number
})[] = [
  {
    name: 'unrestricted tokens',
    callers: [
      { caller: 'free', weight: 3 },
      { caller: 'admin', weight: 1 },
    ],
    fullCount: 2_000,
    offset: 10_000,
  },
  { name: 'MUNGE callers', callers: [{ caller: 'munge', weight: 1 }], fullCount: 500, offset: 20_000 },
]

interface Field {
  readonly slurm: RealSlurm
  readonly fixtures: Fixtures
  readonly watch: Watch
}

export interface DescribeOptions extends SlurmUnderTest {
  /** Its packages change from day to day: where they do not install, that is said, and the run goes on. */
  readonly mayBeMissing: boolean
}

export function describeSlurm(options: DescribeOptions): void {
  let field: Field | null = null
  let missing: string | null = null

  beforeAll(async () => {
    missing = options.mayBeMissing ? await findSlurmObstacle(options.suite) : null
    if (missing !== null) {
      report(`${options.name}: NOT TRIED, its packages do not install today: ${missing}`)
      return
    }
    const slurm = await startRealSlurm(options)
    const fixtures = await makeFixtures(slurm)
    // What attackers submit waits from here on.
    await slurm.runInside('scontrol update PartitionName=main State=DOWN')
    field = { slurm, fixtures, watch: await createWatch(slurm, fixtures) }
  })
  afterAll(() => field?.slurm.stop())

  function testField(name: string, body: (field: Field) => Promise<void>): void {
    test(name, async (context) => {
      if (field === null) context.skip(missing ?? 'the cluster did not start')
      else await body(field)
    })
  }

  describe(options.name, () => {
    testField('has no route and no query parameter that the policy table lacks', async ({ slurm }) => {
      const headers = {
        'X-SLURM-USER-NAME': ALICE.name,
        'X-SLURM-USER-TOKEN': slurm.mintSlurmToken(),
        Accept: 'application/json',
      }
      const answer = await fetch(`${slurm.cluster.slurmrestdUrl}/openapi/v3`, { headers })
      const document = (await answer.json()) as OpenApiDocument
      const differences = compareWithTable(document)
      expect(differences.map(({ version }) => version)).toEqual(slurm.versions)
      console.log(`${options.name}\n${describeVersions(document)}`)
      for (const { version, unlisted, absent, unlistedQuery } of differences) {
        expect([version, unlisted, unlistedQuery]).toEqual([version, [], []])
        // What a version got in a later release, the earlier one lacks: 26.05 has one more in v0.0.42 than 24.11.
        expect(absent).toEqual(version === 42 && options.suite === 'trixie' ? [LATER_IN_42] : [])
      }
    })

    for (const [name, build] of Object.entries(ATTACK_CLASSES)) {
      testField(
        `${name}: every attack is refused and nothing of it reaches slurmrestd`,
        async ({ slurm, fixtures, watch }) => {
          const attacks = slurm.versions.flatMap(build)
          const problems = [...(await runAttacks(slurm, fixtures, attacks)), ...(await watch.look(true))]
          requireNone(problems)
        },
      )
    }

    testField('generated requests of a restricted token change no job of another account', async (found) => {
      let isOver = false
      const startedAt = Date.now()
      const hostile = runHostileRequests({
        ...found,
        callers: [
          { caller: 'bound', weight: 12 },
          { caller: 'manager', weight: 1 },
          { caller: 'reader', weight: 1 },
        ],
        forwardedLeast: FORWARDED_LEAST,
        requestsMost: FORWARDED_LEAST * REQUESTS_PER_FORWARDED,
        offset: 0,
      }).finally(() => {
        isOver = true
      })
      const [figures, honest] = await Promise.all([
        hostile,
        runHonestRequests(found.slurm, found.fixtures.ids()['foreign.plain'], () => isOver),
      ])
      reportFigures(`${options.name}, restricted tokens`, figures, startedAt)
      report(
        `${options.name}, honest client: ${honest.calls} calls, ${honest.refusals.length} not as directly`,
      )
      requireNone(figures.problems)
      requireNone(honest.refusals)
      expect(figures.forwarded).toBeGreaterThanOrEqual(FORWARDED_LEAST)
    })

    testField(
      'a changed job, a new job and a dead daemon would have been seen',
      async ({ slurm, fixtures, watch }) => {
        const foreign = fixtures.ids()['foreign.plain']
        await slurm.runInside(`scontrol update JobId=${foreign} Comment=changed`)
        await slurm.runInside(`sbatch --parsable -D /tmp -H -A ${OTHER_ACCOUNT} --wrap=true`, ALICE.name)
        await slurm.runInside('kill $(pgrep -x slurmrestd)')
        // Killed, it takes a moment to be gone.
        await sleep(1000)
        const seen = await watch.look(true)
        expect(seen[0]).toBe('slurmrestd died')
        expect(seen[1]).toContain(`job ${foreign} of alice in otherlab changed: `)
        expect(seen[2]).toMatch(/^a new job \d+ of alice in otherlab/)
        expect(seen).toHaveLength(3)
      },
    )

    for (const { name, callers, fullCount, offset } of UNRESTRICTED) {
      testField(`generated requests of ${name} kill no daemon`, async (found) => {
        const startedAt = Date.now()
        const forwardedLeast = scale(fullCount)
        const figures = await runHostileRequests({
          ...found,
          callers,
          forwardedLeast,
          requestsMost: forwardedLeast * REQUESTS_PER_FORWARDED,
          offset,
        })
        reportFigures(`${options.name}, ${name}`, figures, startedAt)
        requireNone(figures.problems)
        expect(figures.forwarded).toBeGreaterThanOrEqual(forwardedLeast)
      })
    }
  })
}

function reportFigures(name: string, figures: HostileFigures, startedAt: number): void {
  const seconds = (Date.now() - startedAt) / 1000
  const { requests, forwarded, looks, unanswered, problems } = figures
  report(
    `${name}: ${requests} generated requests, ${forwarded} reached slurmrestd (and ${looks} looks at jobs), ` +
      `${unanswered} without an answer, ${problems.length} findings; ${Math.round(seconds)} s, seed ${SEED}`,
  )
}
