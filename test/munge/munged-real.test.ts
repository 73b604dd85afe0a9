/** The contract and the whole policy against a real munged of the test's own; needs `munged` on the PATH. */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createMungedSocket } from '../../functions/node/munged-socket.ts'
import { createNameService } from '../../functions/node/name-service.ts'
import { createMungedClient } from '../../src/munge/munged-client.ts'
import { createMungeVerifier, type CredentialPolicy } from '../../src/munge/verify-credential.ts'
import type { ClientAddress, MungeVerifier } from '../../src/ports.ts'
import { Outage } from '../../src/refusal.ts'
import { countDescriptors } from '../support/descriptors.ts'
import { buildMungeKey, MungeDaemon } from '../support/munge-daemon.ts'
import { sleep } from '../support/program.ts'
import { testMungedContract } from './munged-contract.ts'

const whyNot = findReasonToSkip()
if (whyNot !== null) console.warn(`munged-real.test.ts is skipped: ${whyNot}`)

function findReasonToSkip(): string | null {
  try {
    execFileSync('munged', ['--version'])
    return null
  } catch {
    return 'no munged on the PATH (Debian: apt-get install munge)'
  }
}

const ownUid = process.getuid?.() ?? 0
const isRoot = ownUid === 0
/** As root, credentials are made by an ordinary uid; otherwise by ourselves. */
const ORDINARY_UID = isRoot ? 61234 : ownUid
const CLIENT: ClientAddress = { address: '127.0.0.1', isDirectLoopback: true, hostAddresses: ['10.0.0.7'] }
const POLICY: CredentialPolicy = {
  maxTtlSeconds: 5,
  minUid: isRoot ? 1000 : 1,
  deniedUsers: new Set(['nobody', 'slurm']),
  hostBinding: 'strict',
}

const base = mkdtempSync(join(tmpdir(), 'munged-real-'))
const key = buildMungeKey()

function buildDaemon(name: string, originAddress: string, ownKey: Uint8Array = key): Promise<MungeDaemon> {
  return MungeDaemon.start({ directory: join(base, name), originAddress, key: ownKey })
}

function buildVerifier(
  daemon: MungeDaemon,
  names: (uid: number) => string | null = (uid) => `user${uid}`,
): MungeVerifier {
  return createMungeVerifier({
    munged: createMungedClient(createMungedSocket({ path: daemon.socketPath })),
    findUserName: (uid) => Promise.resolve(names(uid)),
    policy: POLICY,
    log: { write: () => undefined },
  })
}

async function findOutage(promise: Promise<unknown>): Promise<unknown> {
  const error: unknown = await promise.catch((caught: unknown) => caught)
  return error instanceof Outage ? error.rule : error
}

describe.skipIf(whyNot !== null)('real munged', () => {
  let here: MungeDaemon
  let verifier: MungeVerifier
  const credential = (...parameters: string[]): Promise<string> =>
    here.makeCredential(parameters, ORDINARY_UID)

  beforeAll(async () => {
    // MungeDaemon opens its own directory; this one is above it.
    execFileSync('chmod', ['755', base])
    here = await buildDaemon('here', '127.0.0.1')
    verifier = buildVerifier(here)
  })
  afterAll(async () => {
    await here.stop()
    rmSync(base, { recursive: true, force: true })
  })

  testMungedContract({
    socketPath: () => here.socketPath,
    originAddress: '127.0.0.1',
    start: () => here.start(),
    stop: () => here.stop(),
  })

  test('a fresh credential of an ordinary user is accepted, and refused as replayed after that', async () => {
    const text = await credential('-n', '-t', '5')
    expect(await verifier.verify(text, CLIENT)).toMatchObject({
      user: `user${ORDINARY_UID}`,
      uid: ORDINARY_UID,
    })
    expect(await verifier.verify(text, CLIENT)).toMatchObject({ rule: 'munge_replayed' })
  })

  test('of many concurrent uses of one credential exactly one is accepted', async () => {
    const text = await credential('-n', '-t', '5')
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => verifier.verify(text, CLIENT)))
    expect(outcomes.filter((outcome) => 'user' in outcome).length).toBe(1)
    expect(outcomes.filter((outcome) => 'rule' in outcome && outcome.rule === 'munge_replayed').length).toBe(
      49,
    )
  })

  test('a credential made with munge -n alone is refused in words that help', async () => {
    expect(await verifier.verify(await credential('-n'), CLIENT)).toMatchObject({
      rule: 'munge_ttl_too_long',
      description: 'this credential lives 300 s; create it with: munge -n -t 5',
    })
    expect(await verifier.verify(await credential('-n', '-t', '-1'), CLIENT)).toMatchObject({
      description: 'this credential lives 3600 s; create it with: munge -n -t 5',
    })
    expect(await verifier.verify(await credential('-n', '-t', '6'), CLIENT)).toMatchObject({
      rule: 'munge_ttl_too_long',
    })
  })

  test('a credential made on another host with the same key is refused', async () => {
    const elsewhere = await buildDaemon('elsewhere', '192.0.2.7')
    const text = await elsewhere.makeCredential(['-n', '-t', '5'], ORDINARY_UID)
    await elsewhere.stop()
    expect(await verifier.verify(text, CLIENT)).toMatchObject({ rule: 'munge_wrong_host' })
  })

  test('a credential of this host sent by another is refused', async () => {
    const distant = { address: '192.0.2.7', isDirectLoopback: false, hostAddresses: [] }
    expect(await verifier.verify(await credential('-n', '-t', '5'), distant)).toMatchObject({
      rule: 'munge_wrong_host',
    })
  })

  test('a credential of another cluster is refused', async () => {
    const foreign = await buildDaemon('foreign', '127.0.0.1', buildMungeKey())
    const text = await foreign.makeCredential(['-n', '-t', '5'], ORDINARY_UID)
    await foreign.stop()
    expect(await verifier.verify(text, CLIENT)).toMatchObject({ rule: 'munge_invalid' })
  })

  test('a credential with a payload is refused, also one that unpacks to a megabyte', async () => {
    expect(await verifier.verify(await credential('-t', '5', '-s', 'hello'), CLIENT)).toMatchObject({
      rule: 'munge_payload',
    })
    const client = createMungedClient(createMungedSocket({ path: here.socketPath }))
    const payload = new Uint8Array(1024 * 1024 - 20)
    const large = await client.encode({ ttlSeconds: 5, compression: 3, payload })
    expect(large.length).toBeLessThan(8192)
    expect(await verifier.verify(large, CLIENT)).toMatchObject({ rule: 'munge_payload' })
  })

  test('a credential restricted to a user is refused, also one restricted to the verifier itself', async () => {
    for (const uid of [ownUid, ownUid + 1]) {
      const text = await credential('-n', '-t', '5', '-u', String(uid))
      expect(await verifier.verify(text, CLIENT)).toMatchObject({ rule: 'munge_restricted' })
    }
  })

  test('an expired credential is refused', async () => {
    const text = await credential('-n', '-t', '1')
    await sleep(2500)
    expect(await verifier.verify(text, CLIENT)).toMatchObject({ rule: 'munge_expired' })
  })

  test.skipIf(!isRoot)('root is refused', async () => {
    const text = await here.makeCredential(['-n', '-t', '5'], 0)
    expect(await verifier.verify(text, CLIENT)).toMatchObject({ rule: 'munge_uid_too_low' })
  })

  test.skipIf(!isRoot)(
    'a denied user above the minimum uid, and a uid without a name, are refused',
    async () => {
      const findUserName = createNameService({ clock: Date.now })
      const named = createMungeVerifier({
        munged: createMungedClient(createMungedSocket({ path: here.socketPath })),
        findUserName,
        policy: POLICY,
        log: { write: () => undefined },
      })
      const nobody = await here.makeCredential(['-n', '-t', '5'], 65534)
      expect(await named.verify(nobody, CLIENT)).toMatchObject({ rule: 'munge_user_denied' })
      const unnamed = await here.makeCredential(['-n', '-t', '5'], 2_000_000_123)
      expect(await named.verify(unnamed, CLIENT)).toMatchObject({ rule: 'munge_user_unknown' })
    },
  )

  test('spellings that munged itself takes are refused, and leave the credential unused', async () => {
    const client = createMungedClient(createMungedSocket({ path: here.socketPath }))
    const respell: [string, (text: string) => string][] = [
      ['a space inside', (text) => `${text.slice(0, 20)} ${text.slice(20)}`],
      ['leading spaces', (text) => `  ${text}`],
      ['text after the final colon', (text) => `${text}more`],
    ]
    for (const [what, change] of respell) {
      const text = await credential('-n', '-t', '5')
      expect(await verifier.verify(change(text), CLIENT), what).toMatchObject({ rule: 'munge_malformed' })
      expect(await verifier.verify(text, CLIENT), what).toMatchObject({ uid: ORDINARY_UID })
      const again = await credential('-n', '-t', '5')
      expect((await client.decode(change(again))).errorNumber, what).toBe(0)
    }
  })

  test('a munged that was killed is an outage; once it is back, credentials from before are accepted', async () => {
    const before = await credential('-n', '-t', '5')
    await here.kill()
    expect(await findOutage(verifier.verify(before, CLIENT))).toBe('munged_unavailable')
    expect(await findOutage(verifier.check())).toBe('munged_unavailable')
    await here.stop()
    await here.start()
    expect(await verifier.verify(before, CLIENT)).toMatchObject({ uid: ORDINARY_UID })
    await verifier.check()
  })

  test('a munged that hangs is an outage in seconds', async () => {
    const text = await credential('-n', '-t', '5')
    here.freeze()
    const startedAt = performance.now()
    const outcome = await findOutage(verifier.verify(text, CLIENT))
    const milliseconds = performance.now() - startedAt
    here.thaw()
    expect(outcome).toBe('munged_unavailable')
    expect(milliseconds).toBeLessThan(20_000)
    await verifier.check()
  })

  test('1,000 failing calls, half of them without a munged, leave the number of descriptors flat', async () => {
    const bogus = `MUNGE:${Buffer.alloc(100, 9).toString('base64')}:`
    await verifier.verify(bogus, CLIENT)
    const before = countDescriptors()
    const callMany = (): Promise<unknown[]> =>
      Promise.all(Array.from({ length: 500 }, () => findOutage(verifier.verify(bogus, CLIENT))))
    expect((await callMany()).filter((outcome) => outcome !== 'munged_unavailable').length).toBe(500)
    await here.stop()
    expect((await callMany()).filter((outcome) => outcome === 'munged_unavailable').length).toBe(500)
    expect(countDescriptors()).toBeLessThanOrEqual(before)
    await here.start()
  })
})
