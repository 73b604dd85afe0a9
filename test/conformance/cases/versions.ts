/** API versions: which are served, under which names. */

import { expect } from 'vitest'
import { findHeader } from '../../support/raw-http.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectForwarded, expectRefusal, readPath } from '../expect-answer.ts'

const SOURCE = 'CONTRACT HTTP, Slurm'

export const VERSION_CASES: readonly ConformanceCase[] = [
  ...['v0.0.40', 'v0.0.41', 'v0.0.42'].map((version): ConformanceCase => ({
    name: `${version} is served as itself`,
    source: SOURCE,
    async run(bench) {
      const answer = await bench.sendAs('free', { target: `/slurm/${version}/jobs` })
      expect(readPath(expectForwarded(bench, answer))).toBe(`/slurm/${version}/jobs`)
      expect(findHeader(answer, 'x-slurm-api-version')).toBe(version)
    },
  })),
  ...['/slurm/latest/jobs', '/slurmdb/latest/jobs'].map((target): ConformanceCase => ({
    name: `${target} is the numerically highest version`,
    source: SOURCE,
    async run(bench) {
      const answer = await bench.sendAs('free', { target })
      expect(readPath(expectForwarded(bench, answer))).toBe(target.replace('latest', 'v0.0.42'))
      expect(findHeader(answer, 'x-slurm-api-version')).toBe('v0.0.42')
    },
  })),
  ...['v0.0.39', 'v0.0.43', 'v0.0.99', 'v0.0.4', 'v0.0.420'].map((version): ConformanceCase => ({
    name: `${version} is not served: 400`,
    source: SOURCE,
    async run(bench) {
      for (const plugin of ['slurm', 'slurmdb']) {
        const answer = await bench.sendAs('free', { target: `/${plugin}/${version}/jobs` })
        expectRefusal(bench, answer, 'version_not_served')
      }
    },
  })),
  ...['v1', 'V0.0.42', 'LATEST', 'v0.0.042', 'v0.0.42%20', 'v0.0.42%00', '0.0.42', 'v0.0', 'v0.0.-1'].map(
    (version): ConformanceCase => ({
      name: `"${version}" is no version that is served`,
      source: SOURCE,
      async run(bench) {
        const answer = await bench.sendAs('free', { target: `/slurm/${version}/jobs` })
        expectRefusal(bench, answer, 'version_not_served', 'path_unknown')
      },
    }),
  ),
  {
    name: 'SLURM_API_VERSIONS as a list serves exactly that list',
    source: 'CONTRACT SLURM_API_VERSIONS',
    run: (bench) =>
      bench.withSettings({ SLURM_API_VERSIONS: 'v0.0.41,v0.0.40' }, async (listed) => {
        const supported = await listed.send({ target: '/meta/versions/supported' })
        expect(JSON.parse(supported.body.toString('utf8'))).toEqual(['v0.0.40', 'v0.0.41'])
        const answer = await listed.sendAs('free', { target: '/slurm/latest/jobs' })
        expect(readPath(expectForwarded(listed, answer))).toBe('/slurm/v0.0.41/jobs')
        listed.reset()
        expectRefusal(listed, await listed.sendAs('free'), 'version_not_served')
      }),
  },
]
