/** What a token's scopes open, what stays closed to tokens, and that MUNGE callers have every operation. */

import { expect } from 'vitest'
import type { Rule } from '../../../src/refusal.ts'
import { findHeader } from '../../support/raw-http.ts'
import type { SendOptions } from '../bench.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectForwarded, expectOutage, expectRefusal } from '../expect-answer.ts'
import type { TokenName } from '../issued-tokens.ts'

const SOURCE = 'CONTRACT API tokens'
const JSON_BODY = ['Content-Type', 'application/json'] as const

const CONTROLLER_READS = [
  'diag', 'job/101', 'jobs', 'jobs/state', 'licenses', 'node/n1', 'nodes', 'partition/p1', 'partitions', 'ping',
  'reservation/r1', 'reservations', 'shares',
] // prettier-ignore
const ACCOUNTING_READS = [
  'account/a1', 'accounts', 'association', 'associations', 'cluster/c1', 'clusters', 'diag', 'instance', 'instances',
  'job/101', 'jobs', 'ping', 'qos', 'qos/q1', 'tres', 'user/u1', 'users', 'wckey/w1', 'wckeys',
] // prettier-ignore

const reads: readonly ConformanceCase[] = (
  [
    ['slurm', CONTROLLER_READS, 'reader', 'accountingReader', 'slurm:read'],
    ['slurmdb', ACCOUNTING_READS, 'accountingReader', 'reader', 'slurmdb:read'],
  ] as const
).flatMap(([plugin, paths, holder, other, scope]) =>
  paths.map((path) => ({
    name: `GET /${plugin}/v0.0.42/${path} is open with ${scope} and to no other scope`,
    source: SOURCE,
    async run(bench) {
      const target = `/${plugin}/v0.0.42/${path}`
      expectForwarded(bench, await bench.sendAs(holder, { target }))
      bench.reset()
      for (const token of [other, 'manager'] as const) {
        const answer = await bench.sendAs(token, { target })
        expectRefusal(bench, answer, 'insufficient_scope')
        expect(findHeader(answer, 'www-authenticate')).toContain(`scope="${scope}"`)
      }
    },
  })),
)

interface Closed {
  readonly name: string
  readonly as: TokenName
  readonly request: SendOptions
  readonly rules: readonly [Rule, ...Rule[]]
}

const post = (target: string): SendOptions => ({ method: 'POST', target, headers: [JSON_BODY], body: '{}' })
const ADMIN: readonly [Rule, ...Rule[]] = ['insufficient_scope', 'operation_closed']

const CLOSED: readonly Closed[] = [
  ...[
    post('/slurm/v0.0.42/job/submit'),
    post('/slurm/v0.0.42/job/101'),
    { method: 'DELETE', target: '/slurm/v0.0.42/job/101' },
    { method: 'DELETE', target: '/slurm/v0.0.42/jobs' },
  ].map((request): Closed => ({
    name: `${request.method ?? ''} ${request.target ?? ''} with slurm:read alone`,
    as: 'reader',
    request,
    rules: ['insufficient_scope'],
  })),
  ...[
    { method: 'GET', target: '/slurm/v0.0.42/reconfigure' },
    { method: 'GET', target: '/slurm/v0.0.42/reconfigure/' },
    post('/slurm/v0.0.42/node/n1'),
    post('/slurm/v0.0.42/nodes'),
    { method: 'DELETE', target: '/slurm/v0.0.42/node/n1' },
    { method: 'DELETE', target: '/slurm/v0.0.42/reservation/r1' },
    post('/slurmdb/v0.0.42/accounts'),
    post('/slurmdb/v0.0.42/users'),
    post('/slurmdb/v0.0.42/config'),
    post('/slurmdb/v0.0.42/tres'),
    post('/slurmdb/v0.0.42/users_association'),
    { method: 'DELETE', target: '/slurmdb/v0.0.42/user/bob' },
    { method: 'DELETE', target: '/slurmdb/v0.0.42/qos/q1' },
  ].map((request): Closed => ({
    name: `${request.method ?? ''} ${request.target ?? ''} with all public scopes`,
    as: 'free',
    request,
    rules: ADMIN,
  })),
  {
    name: 'job/allocate, even with slurm:jobs:manage',
    as: 'free',
    request: post('/slurm/v0.0.42/job/allocate'),
    rules: ['operation_closed'],
  },
  ...(['confinedAccountingReader', 'confined'] as const).map((as): Closed => ({
    name: `the accounting configuration for ${as}`,
    as,
    request: { target: '/slurmdb/v0.0.42/config' },
    rules: ['operation_closed'],
  })),
]

const closed: readonly ConformanceCase[] = CLOSED.map(({ name, as, request, rules }) => ({
  name: `closed to a token: ${name}`,
  source: SOURCE,
  async run(bench) {
    expectRefusal(bench, await bench.sendAs(as, request), ...rules)
  },
}))

const open: readonly ConformanceCase[] = [
  {
    name: 'the accounting configuration is open to a token that is not restricted',
    source: SOURCE,
    async run(bench) {
      const answer = await bench.sendAs('accountingReader', { target: '/slurmdb/v0.0.42/config' })
      expectForwarded(bench, answer)
    },
  },
  {
    name: 'a token with slurm:jobs:manage alone submits and cancels without a read scope',
    source: `${SOURCE}: the gate's own check before a write needs no read scope`,
    async run(bench) {
      const submit = { ...post('/slurm/v0.0.42/job/submit'), body: '{"job":{"script":"#!/bin/sh\\ntrue"}}' }
      expectForwarded(bench, await bench.sendAs('manager', submit))
      bench.reset()
      const cancel = await bench.sendAs('manager', { method: 'DELETE', target: '/slurm/v0.0.42/job/101' })
      expect(cancel.status).toBe(200)
      expect(bench.world.upstream.operations.map(({ method }) => method)).toEqual(['GET', 'DELETE'])
    },
  },
  {
    name: 'a restricted token reads what Slurm shows its user: jobs of other accounts too',
    source: SOURCE,
    async run(bench) {
      const answer = await bench.sendAs('confined', { target: '/slurm/v0.0.42/job/102' })
      expectForwarded(bench, answer)
    },
  },
]

const MUNGE_OPERATIONS: readonly SendOptions[] = [
  { method: 'GET', target: '/slurm/v0.0.42/reconfigure' },
  { method: 'GET', target: '/slurmdb/v0.0.42/config' },
  { method: 'DELETE', target: '/slurm/v0.0.42/job/102' },
  { method: 'DELETE', target: '/slurm/v0.0.42/node/n1' },
  { method: 'DELETE', target: '/slurmdb/v0.0.42/user/bob' },
  post('/slurm/v0.0.42/job/submit'),
  post('/slurm/v0.0.42/job/allocate'),
  post('/slurm/v0.0.42/job/102'),
  post('/slurm/v0.0.42/nodes'),
  post('/slurmdb/v0.0.42/accounts'),
]

const munge: readonly ConformanceCase[] = MUNGE_OPERATIONS.map((request) => ({
  name: `MUNGE callers have ${request.method ?? ''} ${request.target ?? ''}`,
  source: `${SOURCE}: MUNGE callers have all operations`,
  async run(bench) {
    const forwarded = expectForwarded(bench, await bench.sendAsMunge(request))
    expect(forwarded.method).toBe(request.method)
  },
}))

const V45: ConformanceCase = {
  name: 'v0.0.45: a GET that requeues a job needs slurm:jobs:manage, the configuration an unrestricted token, util nothing',
  source: 'slurm.md: GET is not the same as read',
  run: (bench) =>
    bench.withSettings({ SLURM_API_VERSIONS: 'v0.0.45' }, async (newest) => {
      const requeue = { target: '/slurm/v0.0.45/job/101/requeue' }
      expectRefusal(newest, await newest.sendAs('reader', requeue), 'insufficient_scope')
      const bulk = { ...post('/slurm/v0.0.45/jobs/requeue'), body: '{"jobs":["102"]}' }
      expectRefusal(newest, await newest.sendAs('reader', bulk), 'insufficient_scope')
      // It was looked at, and is of another account.
      expectOutage(await newest.sendAs('confined', bulk), 'account_mismatch')
      expect(newest.world.upstream.operations.map(({ method }) => method)).toEqual(['GET'])
      newest.reset()
      for (const target of ['/slurm/v0.0.45/conf', '/slurmdb/v0.0.45/conf']) {
        expectRefusal(newest, await newest.sendAs('confined', { target }), 'operation_closed')
        expectForwarded(newest, await newest.sendAs('free', { target }))
        newest.reset()
      }
      const util = { ...post('/util/v0.0.45/hostnames'), body: '{"hostlist":"n[1-3]"}' }
      expectForwarded(newest, await newest.sendAs('accountingReader', util))
    }),
}

const ADMIN_SCOPES: ConformanceCase = {
  name: 'ADMIN_SCOPES=on opens nothing to a token without those scopes, and is refused on Workers',
  source: 'CONTRACT ADMIN_SCOPES',
  async run(bench) {
    const check = async (site: typeof bench): Promise<void> => {
      const answer = await site.sendAs('free', { target: '/slurm/v0.0.42/reconfigure' })
      if (bench.target.name === 'node') expectRefusal(site, answer, 'insufficient_scope')
      else expect(answer.status).toBeGreaterThanOrEqual(500)
    }
    // A Worker has no start to fail: it answers every request with a failure, or does not start at all.
    const started = bench.withSettings({ ADMIN_SCOPES: 'on' }, check)
    if (bench.target.name === 'node') await started
    else await started.catch((error: unknown) => expect(String(error)).toMatch(/not within|ADMIN_SCOPES/))
  },
}

export const SCOPE_CASES: readonly ConformanceCase[] = [
  ...reads,
  ...closed,
  ...open,
  ...munge,
  V45,
  ADMIN_SCOPES,
]
