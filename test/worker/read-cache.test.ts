/** The Worker behind a cache such as Hyperdrive's: it serves where look-ups are not kept, and is 503 where they are. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { CachingRelay, type Keeps } from '../support/caching-relay.ts'
import { runCli } from '../support/cli.ts'
import { startWorker, type Target } from '../support/gateway-target.ts'
import { waitUntil } from '../support/program.ts'
import { stopOwnPostgres } from '../support/postgres.ts'
import { requestRaw } from '../support/raw-http.ts'
import { createTokenDatabase, type TokenDatabase } from '../support/token-database.ts'

const TIMEOUT = 120_000
const NEW = ['--name', 'nightly', '--user', 'alice', '--account', 'phys', '--scope', 'slurm:read', '--json']

let tokens: TokenDatabase
beforeAll(async () => {
  tokens = await createTokenDatabase()
}, TIMEOUT)
afterAll(async () => {
  await tokens.sql.end()
  await stopOwnPostgres()
})

async function runToken(...parameters: readonly string[]): Promise<{ id: string; token: string }> {
  const environment = { DATABASE_URL: tokens.url }
  const { exitCode, stdout, stderr } = await runCli(['token', ...parameters], { environment })
  expect(exitCode, stderr).toBe(0)
  return JSON.parse(stdout) as { id: string; token: string }
}

/** Starts the Worker with such a cache between it and Postgres; both end with the work. */
async function behindCache(
  keeps: Keeps,
  work: (ask: (target: string, token?: string) => Promise<string>, worker: Target) => Promise<void>,
): Promise<void> {
  const relay = await CachingRelay.start(tokens.url, keeps)
  const worker = await startWorker({
    DATABASE_URL: relay.findUrl(tokens.url),
    SLURMRESTD_URL: 'http://127.0.0.1:1',
    SLURM_JWT_HS256_KEY: Buffer.alloc(32, 1).toString('base64'),
    SLURM_KEY_AT_EDGE: 'accept-cluster-root',
  })
  try {
    await work(async (target, token) => {
      const { status, body } = await requestRaw(
        { host: worker.host, port: worker.port },
        {
          method: 'GET',
          target,
          headers: token === undefined ? [] : [['Authorization', `Bearer ${token}`]],
        },
        { timeoutMilliseconds: 60_000 },
      )
      return `${String(status)} ${body.toString()}`
    }, worker)
  } finally {
    await worker.stop()
    await relay.stop()
  }
}

it(
  'serves where look-ups are not kept, and a revocation counts as soon as a look-up is made',
  async () => {
    const { id, token } = await runToken('issue', ...NEW)
    await behindCache('documented', async (ask) => {
      expect(await ask('/readyz')).toContain('"database":"ok"')
      for (let round = 0; round < 3; round++) expect(await ask('/meta/whoami', token)).toMatch(/^200 .*alice/)
      await runToken('revoke', id, '--json')
      const isRefused = async () => /^401 .*token_revoked/.test(await ask('/meta/whoami', token))
      await waitUntil('it is refused', isRefused, 10_000)
    })
  },
  TIMEOUT,
)

it(
  'is 503 where every read is kept: no token is believed, nor called unknown, and the log has the way out',
  async () => {
    const { token } = await runToken('issue', ...NEW)
    await behindCache('reads', async (ask, worker) => {
      expect(await ask('/readyz')).toContain('"database":"failed"')
      for (let round = 0; round < 3; round++) {
        expect(await ask('/meta/whoami', token)).toMatch(/^503 .*token_store_unavailable/)
      }
      await waitUntil('the log says so', () => worker.logs().some((line) => line.includes('Hyperdrive')))
    })
  },
  TIMEOUT,
)
