/**
 * Slurm's keys are exchanged at the signer, which another one takes the place of behind the same URL, while one gateway without a key
 * goes on. It keeps what the old signer signed, so no call fails only where the old key is kept as long as that is used.
 */

import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { Place } from '../../support/place.ts'
import { runProgram, sleep } from '../../support/program.ts'
import { CLI_PATH, startVerifier, type Environment } from '../../support/surroundings.ts'
import { ALICE, bearer, mungeHeader, type RealCluster, type RealGateway } from '../real-cluster.ts'
import { NO_KEY, prepareSigning, type Signing } from '../signing.ts'
import { HS256_FILE, SlurmKeyExchange, type Watch } from './slurm-key-exchange.ts'

/** The shortest that there is. README.md says two minutes, which is the longest that there is at a signer. */
const LIFESPAN_SECONDS = 30
/** Half of it a gateway uses what was signed; calls that left with it then are soon over. */
const USE_MILLISECONDS = (LIFESPAN_SECONDS / 2 + 2) * 1000

/** @param options.isHasteTried whether what happens too early is seen as well. */
export function describeSignerSideRotation(
  requireCluster: () => RealCluster,
  { isHasteTried = true }: { readonly isHasteTried?: boolean } = {},
): void {
  const directory = mkdtempSync(join(tmpdir(), 'slurmgate-rotation-'))
  const keys = new SlurmKeyExchange(requireCluster)
  const signer = new Place()
  let signing: Signing | null = null
  let gateway: RealGateway | null = null
  let tokens: readonly string[] = []

  const requireSigning = (): Signing => {
    if (signing === null) throw new Error('nothing is there to sign with')
    return signing
  }
  async function issue(): Promise<string> {
    const names = ['--name', 'rotation', '--user', ALICE.name, '--any-account']
    const parameters = ['token', 'issue', ...names, '--scope', 'slurm:read,slurmdb:read,slurm:jobs:manage']
    const environment = requireSigning().issuer
    return (await runProgram(process.execPath, [CLI_PATH, ...parameters], { environment })).trimEnd()
  }

  beforeAll(async () => {
    keys.begin()
    signing = await prepareSigning(requireCluster(), directory)
    tokens = [await issue(), await issue()]
  })
  afterEach(async () => {
    await gateway?.stop()
    gateway = null
  })
  afterAll(async () => {
    await signer.stop()
    await keys.end()
    rmSync(directory, { recursive: true, force: true })
  })

  /** @param slurmKey that it signs with. */
  const replaceSigner = (slurmKey: Environment): Promise<void> =>
    signer.replace(async () => {
      const SLURM_JWT_LIFESPAN_SECONDS = String(LIFESPAN_SECONDS)
      const environment = { ...requireSigning().signer, SLURM_JWT_LIFESPAN_SECONDS, ...slurmKey }
      const { port, program } = await startVerifier(environment)
      return { port, stop: () => program.stop() }
    })

  /** A signer with this key and a gateway that has nothing of it yet; then callers: a token reads, MUNGE reads, a token submits. */
  async function serve(slurmKey: Environment): Promise<Watch> {
    await replaceSigner(slurmKey)
    const MUNGE_VERIFIER_URL = `http://127.0.0.1:${String(signer.port)}`
    const started = await requireCluster().startGateway({
      ...requireSigning().gateway,
      ...NO_KEY,
      MUNGE_VERIFIER_URL,
    })
    gateway = started
    const [reader = '', submitter = ''] = tokens
    const callers = await keys.watch({
      port: () => started.port,
      readers: [() => [bearer(reader)], () => [mungeHeader(requireCluster().makeCredential())]],
      submitter: () => [bearer(submitter)],
    })
    await callers.waitForCalls(4)
    return callers
  }
  const askWith = (slurmKey: Environment): Promise<readonly string[]> => keys.ask(slurmKey, tokens[0] ?? '')

  test('RS256: the new key beside the old one, then the signer, and when its tokens are used the old one out: no call fails', async () => {
    const old = keys.useRs256(requireCluster().slurm.rs256JwkFile)
    const next = keys.makeRs256('next-signed')
    const callers = await serve(old)
    keys.installJwks([next.jwk, ...keys.readJwks()])
    await keys.readKeysAnew()
    await replaceSigner(next.environment)
    await sleep(USE_MILLISECONDS)

    keys.installJwks([next.jwk])
    await keys.readKeysAnew()
    await callers.waitForCalls(10)
    expect(await callers.stop()).toEqual([{}, {}, {}])
    expect(await askWith(old)).toEqual(keys.habits.refused)
    expect(await askWith(next.environment)).toEqual(['200 ', '200 '])
  })

  test('HS256: by way of RS256, and each time when its tokens are used the old one out: no call fails', async () => {
    const [old, between] = [keys.useHs256OfSlurm(), keys.makeRs256('between-signed')]
    const nextBytes = randomBytes(32)
    const next = keys.useHs256('next-signed.key', nextBytes)
    const callers = await serve(old)
    keys.installJwks([between.jwk])
    await keys.readKeysAnew()
    await replaceSigner(between.environment)
    await sleep(USE_MILLISECONDS)

    keys.installKey(HS256_FILE, nextBytes)
    await keys.readKeysAnew()
    await replaceSigner(next)
    await sleep(USE_MILLISECONDS)

    keys.installJwks([keys.makeRs256('another').jwk])
    await keys.readKeysAnew()
    await callers.waitForCalls(10)
    expect(await callers.stop()).toEqual([{}, {}, {}])
    const { refused } = keys.habits
    expect(await Promise.all([old, between.environment].map(askWith))).toEqual([refused, refused])
    expect(await askWith(next)).toEqual(['200 ', '200 '])
  })

  if (!isHasteTried) return
  test('too early, tokens in use are 502 slurm_token_refused for the rest of that time, and none of it has happened', async () => {
    const between = keys.makeRs256('too-early')
    keys.installJwks([between.jwk])
    await keys.readKeysAnew()
    const callers = await serve(keys.useHs256OfSlurm())
    await replaceSigner(between.environment)
    keys.installKey(HS256_FILE, randomBytes(32))
    await keys.readKeysInSlurmctld()
    await callers.waitForCalls(10)
    await sleep(USE_MILLISECONDS)
    const [reading, byMunge, submitting] = await callers.stop()
    expect([reading, submitting].map((failures = {}) => Object.keys(failures))).toEqual([
      ['502 slurm_token_refused'],
      ['502 slurm_token_refused'],
    ])
    // Signed for its own call alone.
    expect(byMunge).toEqual({})
    const again = await keys.watch({
      port: () => gateway?.port ?? 0,
      readers: tokens.map((token) => () => [bearer(token)]),
      submitter: () => [bearer(tokens[0] ?? '')],
    })
    await again.waitForCalls(5)
    expect(await again.stop()).toEqual([{}, {}, {}])
  })
}
