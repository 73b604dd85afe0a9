/**
 * `REPLAY_GUARD=local` at a signer, with a real munged: a credential counts once, whichever of the two was restarted, and Postgres is
 * told of none.
 */

import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createRemoteVerifier } from '../../src/munge/remote-verifier.ts'
import { createVerifierChannel } from '../../src/munge/verifier-channel.ts'
import type { MungeVerifier } from '../../src/ports.ts'
import { parseEncryptionKey } from '../../src/signer/encryption-key.ts'
import { runCli } from '../support/cli.ts'
import { buildMungeKey, MungeDaemon } from '../support/munge-daemon.ts'
import { isMungedMissing } from '../support/missing-munged.ts'
import { Place } from '../support/place.ts'
import { stopOwnPostgres } from '../support/postgres.ts'
import { startVerifier } from '../support/surroundings.ts'
import { requireTestUsers } from '../support/test-user.ts'
import { createTokenDatabase, type TokenDatabase } from '../support/token-database.ts'

const CLIENT = { address: '127.0.0.1', isDirectLoopback: true, hostAddresses: [] }

describe.skipIf(isMungedMissing('lone-signer.test.ts'))('a lone signer beside a lone munged', () => {
  const base = mkdtempSync(join(tmpdir(), 'lone-signer-'))
  const signer = new Place()
  const key = randomBytes(32)
  let store: TokenDatabase
  let munged: MungeDaemon
  let gate: MungeVerifier
  let environment: Readonly<Record<string, string>>

  const startSigner = (): Promise<void> =>
    signer.replace(async () => {
      const { port, program } = await startVerifier(environment)
      return { port, stop: () => program.stop() }
    })

  beforeAll(async () => {
    chmodSync(base, 0o755)
    store = await createTokenDatabase()
    munged = await MungeDaemon.start({
      directory: join(base, 'munged'),
      originAddress: '127.0.0.1',
      key: buildMungeKey(),
    })
    const write = (name: string, content: Uint8Array | string): string => {
      writeFileSync(join(base, name), content, { mode: 0o600 })
      return join(base, name)
    }
    const SIGNER_PRIVATE_KEY_FILE = join(base, 'signer.jwk')
    const encryptionKey = parseEncryptionKey(
      (await runCli(['signer-key', 'new', SIGNER_PRIVATE_KEY_FILE])).stdout,
    )
    if (typeof encryptionKey === 'string') throw new Error(encryptionKey)
    environment = {
      MUNGE_SOCKET: munged.socketPath,
      MUNGE_VERIFIER_KEY: key.toString('base64'),
      VERIFIER_SIGNS: 'yes',
      REPLAY_GUARD: 'local',
      DATABASE_URL: store.url,
      SLURM_JWT_HS256_KEY_FILE: write('slurm.key', randomBytes(32)),
      SIGNER_PRIVATE_KEY_FILE,
      TOKEN_KEY_FILE: write('token.key', randomBytes(32).toString('base64')),
    }
    await startSigner()
    const channel = createVerifierChannel({
      url: new URL(`http://127.0.0.1:${String(signer.port)}`),
      keys: [new Uint8Array(key)],
      fetch,
      clock: Date.now,
      randomBytes: (length) => new Uint8Array(randomBytes(length)),
      encryptionKey,
    })
    gate = createRemoteVerifier({ channel, isSignedThere: true })
  })
  afterAll(async () => {
    await signer.stop()
    await munged.stop()
    await store.sql.end()
    await stopOwnPostgres()
    rmSync(base, { recursive: true, force: true })
  })

  const makeCredential = (): Promise<string> =>
    munged.makeCredential(['-n', '-t', '5'], requireTestUsers().ordinary.uid)
  async function use(credential: string): Promise<string> {
    const found = await gate.verify(credential, CLIENT)
    if ('kind' in found) return found.rule
    return 'slurmToken' in found ? `signed for ${found.user}` : 'to be claimed'
  }

  test('munged was restarted and has forgotten it: the signer has not (replay)', async () => {
    const credential = await makeCredential()
    expect(await use(credential)).toBe(`signed for ${requireTestUsers().ordinary.name}`)
    await munged.stop()
    await munged.start()
    expect(await use(credential)).toBe('munge_replayed')
    expect(await use(await makeCredential())).toMatch(/^signed for/)
  })

  test('the signer was restarted and has forgotten it: munged has not (replay)', async () => {
    const credential = await makeCredential()
    expect(await use(credential)).toMatch(/^signed for/)
    await startSigner()
    expect(await use(credential)).toBe('munge_replayed')
    expect(await use(await makeCredential())).toMatch(/^signed for/)
  })

  test('Postgres is told of none', async () => {
    expect(await store.sql`select from munge_replays`).toHaveLength(0)
  })
})
