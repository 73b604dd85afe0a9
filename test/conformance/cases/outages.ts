/** A dependency that is gone or hung: the gate stays closed, says so with 5xx, never 401, and recovers by itself. */

import { expect } from 'vitest'
import { sleep, waitUntil } from '../../support/program.ts'
import { findHeader, type RawAnswer } from '../../support/raw-http.ts'
import { startVerifier } from '../../support/surroundings.ts'
import type { OutageRule } from '../../../src/refusal.ts'
import type { Bench } from '../bench.ts'
import type { ConformanceCase } from '../conformance-case.ts'
import { expectForwarded, expectNothingForwarded, expectOutage, expectRefusal } from '../expect-answer.ts'
import { postJson } from '../post-json.ts'

const SOURCE = 'CONTRACT HTTP, 502 / 503 / 504'

interface Loss {
  readonly name: string
  readonly take: (bench: Bench) => Promise<void> | void
  readonly giveBack: (bench: Bench) => Promise<void> | void
  /** Null: not affected. */
  readonly tokens: OutageRule | null
  readonly munge: OutageRule | null
  /** Slurm calls never reach it, so nothing is forwarded. */
  readonly isBeforeSlurm: boolean
}

const LOSSES: readonly Loss[] = [
  {
    name: 'Postgres is gone',
    take: ({ world }) => world.relays.database.cut(),
    giveBack: ({ world }) => world.relays.database.restore(),
    tokens: 'token_store_unavailable',
    munge: 'replay_guard_unavailable',
    isBeforeSlurm: true,
  },
  {
    name: 'Postgres hangs',
    take: ({ world }) => {
      world.relays.database.stall()
    },
    giveBack: ({ world }) => world.relays.database.restore(),
    tokens: 'token_store_unavailable',
    munge: 'replay_guard_unavailable',
    isBeforeSlurm: true,
  },
  {
    name: 'the verifier is gone',
    take: ({ world }) => world.relays.verifier.cut(),
    giveBack: ({ world }) => world.relays.verifier.restore(),
    tokens: null,
    munge: 'verifier_unavailable',
    isBeforeSlurm: true,
  },
  {
    name: 'the verifier hangs',
    take: ({ world }) => {
      world.relays.verifier.stall()
    },
    giveBack: ({ world }) => world.relays.verifier.restore(),
    tokens: null,
    munge: 'verifier_unavailable',
    isBeforeSlurm: true,
  },
  {
    name: 'munged is gone',
    take: ({ world }) => world.munge.stop(),
    giveBack: ({ world }) => world.munge.start(),
    tokens: null,
    munge: 'munged_unavailable',
    isBeforeSlurm: true,
  },
  {
    name: 'munged hangs',
    take: ({ world }) => {
      world.munge.freeze()
    },
    giveBack: ({ world }) => {
      world.munge.thaw()
    },
    tokens: null,
    munge: 'munged_unavailable',
    isBeforeSlurm: true,
  },
  {
    name: 'slurmrestd is gone',
    take: ({ world }) => world.relays.upstream.cut(),
    giveBack: ({ world }) => world.relays.upstream.restore(),
    tokens: 'upstream_unreachable',
    munge: 'upstream_unreachable',
    isBeforeSlurm: false,
  },
  {
    name: 'slurmrestd hangs',
    take: ({ world }) => {
      world.relays.upstream.stall()
    },
    giveBack: ({ world }) => world.relays.upstream.restore(),
    tokens: 'upstream_timeout',
    munge: 'upstream_timeout',
    isBeforeSlurm: false,
  },
]

function expectOutcome(bench: Bench, answer: RawAnswer, rule: OutageRule | null): void {
  if (rule === null) {
    expect(answer.status, answer.body.toString('utf8')).toBe(200)
  } else {
    expectOutage(answer, rule)
    expectNothingForwarded(bench)
  }
  bench.reset()
}

const losses: readonly ConformanceCase[] = LOSSES.map((loss) => ({
  name: `${loss.name}: ${String(loss.munge)} for MUNGE, ${loss.tokens ?? 'no change'} for tokens; recovered without a restart`,
  source: SOURCE,
  async run(bench) {
    // Made before: a munged that is away makes none.
    const credentials = [await bench.makeCredential(), await bench.makeCredential()]
    // What was signed for a token is used for a while, whoever signed it.
    await bench.sendAs('free')
    bench.reset()
    await loss.take(bench)
    try {
      if (loss.tokens === 'token_store_unavailable') {
        // What was read of a token counts for five seconds, where no feed says that it is lost.
        await waitUntil('it has aged', async () => (await bench.sendAs('free')).status === 503, 15_000)
        credentials[0] = await bench.makeCredential()
        bench.reset()
      }
      const headers = [['Authorization', `MUNGE ${credentials[0] ?? ''}`] as const]
      const [byMunge, byToken] = await Promise.all([bench.send({ headers }), bench.sendAs('free')])
      if (loss.tokens === null) {
        expectOutage(byMunge, loss.munge ?? 'internal_error')
        expect(byToken.status).toBe(200)
        expect(bench.world.upstream.operations).toHaveLength(1)
      } else {
        expectOutcome(bench, byMunge, loss.munge)
        expectOutcome(bench, byToken, loss.tokens)
      }
      expect((await bench.send({ target: '/ping' })).status).toBe(200)
      expect((await bench.send({ target: '/healthz' })).status).toBe(200)
    } finally {
      await loss.giveBack(bench)
    }
    await waitUntil('calls by token work again', async () => (await bench.sendAs('free')).status === 200)
    await waitUntil('calls by MUNGE work again', async () => (await bench.sendAsMunge()).status === 200)
    await bench.waitUntilReady()
  },
}))

/** Slurm tokens signed with a key that slurmrestd does not know, by whoever signs. */
async function withOtherKey(bench: Bench, use: (bench: Bench) => Promise<void>): Promise<void> {
  const key = { SLURM_JWT_HS256_KEY: Buffer.alloc(32, 5).toString('base64') }
  if (bench.world.signer === 'gateway') return bench.withSettings(key, use)
  const { port, program } = await startVerifier({ ...bench.world.verifierEnvironment, ...key })
  try {
    await bench.withSettings({ MUNGE_VERIFIER_URL: `http://127.0.0.1:${String(port)}` }, use)
  } finally {
    await program.stop()
  }
}

const others: readonly ConformanceCase[] = [
  ...(['database', 'verifier', 'upstream'] as const).map((name): ConformanceCase => ({
    name: `/readyz is 503 while the ${name} is gone, and 200 again after`,
    source: 'CONTRACT HTTP, /readyz: dependencies, cached 1 s',
    async run(bench) {
      await bench.world.relays[name].cut()
      try {
        await waitUntil(
          '/readyz is 503',
          async () => (await bench.send({ target: '/readyz' })).status === 503,
        )
      } finally {
        await bench.world.relays[name].restore()
      }
      await bench.waitUntilReady()
    },
  })),
  {
    name: 'a submission to a slow slurmrestd is 504, sent once, and says that it may have happened',
    source: 'CONTRACT HTTP, 504; slurm.md: never retry a POST',
    async run(bench) {
      bench.world.upstream.behaviour.delayMilliseconds = 5000
      const answer = await bench.sendAs('free', postJson('/slurm/v0.0.42/job/submit', '{"job":{"name":"n"}}'))
      expectOutage(answer, 'upstream_timeout')
      expect(answer.body.toString('utf8')).toContain('may or may not')
      expect(bench.world.upstream.operations).toHaveLength(1)
    },
  },
  {
    name: 'while slurmrestd is gone, whoami and the versions learnt before are still served',
    source: 'CONTRACT HTTP, Public',
    async run(bench) {
      await bench.world.relays.upstream.cut()
      try {
        expect((await bench.sendAs('free', { target: '/meta/whoami' })).status).toBe(200)
        const latest = await bench.send({ target: '/meta/versions/latest' })
        expect([latest.status, latest.body.toString('utf8')]).toEqual([200, 'v0.0.42'])
      } finally {
        await bench.world.relays.upstream.restore()
      }
    },
  },
  {
    name: 'clients that go away, before their answer or in the middle of it, take no slot with them',
    source: 'CONTRACT UPSTREAM_MAX_CONCURRENCY',
    run: (bench) =>
      bench.withSettings({ UPSTREAM_MAX_CONCURRENCY: '2', UPSTREAM_TIMEOUT_SECONDS: '20' }, async (small) => {
        expectForwarded(small, await small.sendAs('free'))
        const { behaviour } = small.world.upstream
        for (const [delayMilliseconds, bytes] of [
          [1000, 10],
          [0, 8_000_000],
        ] as const) {
          Object.assign(behaviour, { delayMilliseconds })
          behaviour.answer = () => ({ status: 200, contentType: 'application/json', body: ' '.repeat(bytes) })
          for (let client = 0; client < 4; client++) {
            const connection = await small.openConnection()
            const headers = [...small.nameClient(), small.bearer('free')]
            await connection.send({ method: 'GET', target: '/slurm/v0.0.42/jobs', headers })
            await sleep(150)
            connection.close()
          }
        }
        small.world.upstream.reset()
        await waitUntil(
          'the gate serves again',
          async () => (await small.sendAs('free')).status === 200,
          10_000,
        )
        const answers = await Promise.all([small.sendAs('free'), small.sendAs('free')])
        expect(answers.map(({ status }) => status)).toEqual([200, 200])
      }),
  },
  {
    name: 'versions never learnt are 503, and learnt later without a restart',
    source: 'CONTRACT HTTP, 503: versions never learnt',
    async run(bench) {
      const { upstream } = bench.world.relays
      await upstream.cut()
      try {
        await bench.withSettings({}, async (fresh) => {
          expectOutage(await fresh.sendAs('free'), 'versions_unknown')
          expectOutage(await fresh.send({ target: '/meta/versions/latest' }), 'versions_unknown')
          expectRefusal(fresh, await fresh.send({}), 'credential_missing')
          expect((await fresh.send({ target: '/ping' })).status).toBe(200)
          expect((await fresh.send({ target: '/healthz' })).status).toBe(200)
          expect((await fresh.send({ target: '/readyz' })).status).toBe(503)
          await upstream.restore()
          await waitUntil('versions are learnt', async () => (await fresh.sendAs('free')).status === 200)
        })
      } finally {
        await upstream.restore()
      }
    },
  },
  {
    name: 'a verifier with another key is not believed: 503, never in',
    source: 'CONTRACT MUNGE_VERIFIER_KEY',
    run: (bench) =>
      bench.withSettings({ MUNGE_VERIFIER_KEY: Buffer.alloc(32, 7).toString('base64') }, async (stranger) => {
        expectOutage(await stranger.sendAsMunge(), 'verifier_unavailable')
        expectNothingForwarded(stranger)
      }),
  },
  {
    name: 'MUNGE_VERIFIER_KEY rotates: the first signs, all verify',
    source: 'CONTRACT MUNGE_VERIFIER_KEY',
    run: (bench) => {
      const key = String(bench.world.gatewayEnvironment['MUNGE_VERIFIER_KEY'])
      const keys = `${key},${Buffer.alloc(32, 9).toString('base64')}`
      return bench.withSettings({ MUNGE_VERIFIER_KEY: keys }, async (rotating) => {
        expectForwarded(rotating, await rotating.sendAsMunge())
      })
    },
  },
  {
    name: 'a Slurm key that slurmrestd does not know is 502 slurm_token_refused',
    source: 'CONTRACT HTTP, 502',
    run: (bench) =>
      withOtherKey(bench, async (stranger) => {
        expectOutage(await stranger.sendAs('free'), 'slurm_token_refused')
      }),
  },
  {
    name: 'a revoked token is refused within five seconds on a gateway that served it before',
    source: 'CONTRACT API tokens',
    async run(bench) {
      const { users } = bench.world
      const output = await bench.world.runCli([
        ...['token', 'issue', '--name', 'short', '--user', users.ordinary.name, '--any-account'],
        ...['--scope', 'slurm:read', '--issued-by', 'conformance', '--json'],
      ])
      const { id, token } = JSON.parse(output) as { id: string; token: string }
      bench.world.secrets.add(token)
      const headers = [['Authorization', `Bearer ${token}`] as const]
      expectForwarded(bench, await bench.send({ headers }))
      await bench.world.runCli(['token', 'revoke', id])
      await waitUntil('it is refused', async () => (await bench.send({ headers })).status === 401, 6_000)
      bench.reset()
      const answer = await bench.send({ headers })
      expectRefusal(bench, answer, 'token_revoked')
      expect(findHeader(answer, 'www-authenticate')).toContain('invalid_token')
    },
  },
]

export const OUTAGE_CASES: readonly ConformanceCase[] = [...losses, ...others]
