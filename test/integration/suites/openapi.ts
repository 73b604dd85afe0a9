/** The route table against the daemon's own description of itself, in both directions. */

import { afterAll, beforeAll, expect, test } from 'vitest'
import { compareWithTable, describeVersions, type OpenApiDocument } from '../../support/openapi-routes.ts'
import {
  bearer,
  mungeHeader,
  OWN_ACCOUNT,
  parseAnswer,
  type RealCluster,
  type RealGateway,
} from '../real-cluster.ts'

/** 26.05 serves it under v0.0.42, 24.11 does not. */
const LATER_IN_THE_SAME_VERSION = ['DELETE /slurm/reservation/{}']

export function describeOpenApi(requireCluster: () => RealCluster): void {
  let gateway: RealGateway | null = null
  beforeAll(async () => {
    gateway = await requireCluster().startGateway()
  })
  afterAll(() => gateway?.stop())

  async function call(target: string, header?: readonly [string, string]) {
    const answer = await gateway?.call({
      method: 'GET',
      target,
      headers: header === undefined ? [] : [header],
    })
    if (answer === undefined) throw new Error('no gateway')
    return answer
  }

  test('it passes through unchanged for either credential', async () => {
    const cluster = requireCluster()
    const direct = await fetch(`${cluster.slurm.slurmrestdUrl}/openapi/v3`, {
      headers: { 'X-SLURM-USER-TOKEN': 'any', Accept: 'application/json' },
    })
    const expected = await direct.text()
    for (const header of [
      bearer(await cluster.issueToken(OWN_ACCOUNT)),
      mungeHeader(cluster.makeCredential()),
    ]) {
      const answer = await call('/openapi/v3', header)
      expect([answer.status, answer.body.toString('utf8') === expected]).toEqual([200, true])
    }
  })

  test('the versions served are the daemon’s own', async () => {
    const supported = await call('/meta/versions/supported')
    expect(JSON.parse(supported.body.toString('utf8'))).toEqual(['v0.0.40', 'v0.0.41', 'v0.0.42'])
    expect((await call('/meta/versions/latest')).body.toString('utf8')).toBe('v0.0.42')
  })

  test('every route of the daemon is in the table at that version, and every one in the table is the daemon’s', async () => {
    const token = await requireCluster().issueToken(null)
    const document = parseAnswer(await call('/openapi/v3', bearer(token))) as unknown as OpenApiDocument
    console.log(describeVersions(document))
    for (const difference of compareWithTable(document)) {
      const absent = difference.version === 42 ? LATER_IN_THE_SAME_VERSION : []
      expect(difference).toEqual({ version: difference.version, unlisted: [], absent, unlistedQuery: [] })
    }
  })
}
