/** Once a signer has a gateway's key, questions about MUNGE credentials have its name in its place: less to send, and as safe. */

import { decodeJwt } from 'jose'
import { describe, expect, test } from 'vitest'
import { createSignature, TO_VERIFIER } from '../../src/munge/exchange-signature.ts'
import { createRemoteVerifier } from '../../src/munge/remote-verifier.ts'
import { webSha256 } from '../../src/munge/sha256.ts'
import type { VerifierChannel } from '../../src/munge/verifier-channel.ts'
import { isKeyName } from '../../src/signer/answer-key.ts'
import { encryptToken } from '../../src/signer/encrypted-token.ts'
import type { Signer } from '../../src/signer/signer.ts'
import {
  buildSigner,
  CLIENT,
  connect,
  connectTo,
  findOutage,
  KEY,
  mine,
  NOW,
  startService,
  TOKEN,
  world,
} from './in-memory-signer.ts'

describe('once a signer has the key of a gateway, its name goes in its place', () => {
  const FRESH = Array.from(
    { length: 8 },
    (_nothing, number) => `MUNGE:${Buffer.alloc(60, number).toString('base64')}:`,
  )
  /** Each question so far: what its `sign` was, and the credential. */
  const readQuestions = (): readonly { readonly sign: unknown; readonly credential: unknown }[] =>
    world.wire
      .filter((_text, index) => index % 2 === 0)
      .map((text) => JSON.parse(text) as { request: string; credential?: string })
      .map(({ request, credential }) => ({ sign: decodeJwt(request)['sign'], credential }))
  const readForms = (): readonly string[] =>
    readQuestions().map(({ sign }) =>
      typeof sign !== 'string' ? 'none' : isKeyName(sign) ? 'name' : 'whole',
    )
  const signOne = async (channel: VerifierChannel, number: number): Promise<string> => {
    const verifier = createRemoteVerifier({ channel, isSignedThere: true })
    const identity = await verifier.verify(FRESH[number] ?? '', CLIENT)
    if ('kind' in identity) return identity.rule
    return 'slurmToken' in identity ? String(decodeJwt(identity.slurmToken.token)['sun']) : 'unsigned'
  }

  test('and what is signed comes as before', async () => {
    const channel = connect(buildSigner())
    for (const number of [0, 1, 2]) expect(await signOne(channel, number)).toBe('alice')
    expect(readForms()).toEqual(['whole', 'name', 'name'])
    expect(world.verified).toBe(3)
    const [first = '', , second = ''] = world.wire
    expect(second.length).toBeLessThan(first.length - 500)
  })

  test('the proof that it signs takes the whole key each time, and shows that the signer has it', async () => {
    const channel = connect(buildSigner())
    await channel.checkSigner()
    expect(await signOne(channel, 0)).toBe('alice')
    await channel.checkSigner()
    expect(readForms()).toEqual(['whole', 'name', 'whole'])
  })

  test('an API token goes with the whole key, which it is bound to', async () => {
    const channel = connect(buildSigner())
    await channel.checkSigner()
    const pending = await channel.end.signTokenRequest((binding) =>
      encryptToken(TOKEN, binding, mine.encryptionKey),
    )
    expect((await channel.ask(pending, { encrypted: pending.encrypted })).kind).toBe('signed')
    expect(readForms()).toEqual(['whole', 'whole'])
  })

  test('a signer that was restarted asks for the whole key before it decodes anything, and no call fails', async () => {
    let service = startService(buildSigner())
    const channel = connectTo(() => service)
    expect(await signOne(channel, 0)).toBe('alice')
    service = startService(buildSigner())
    expect(await signOne(channel, 1)).toBe('alice')
    expect(await signOne(channel, 2)).toBe('alice')
    expect(readForms()).toEqual(['whole', 'name', 'whole', 'name'])
    // The same credential in both, decoded once.
    expect(readQuestions().map(({ credential }) => credential)).toEqual([
      FRESH[0],
      FRESH[1],
      FRESH[1],
      FRESH[2],
    ])
    expect(world.verified).toBe(3)
  })

  test('of replicas behind one URL each is sent it once', async () => {
    const replicas = [startService(buildSigner()), startService(buildSigner())]
    const turn = { now: 0 }
    const channel = connectTo(() => replicas[turn.now] ?? startService(null))
    for (const number of [0, 1, 2, 3]) {
      turn.now = number % 2
      expect(await signOne(channel, number)).toBe('alice')
    }
    expect(readForms()).toEqual(['whole', 'name', 'whole', 'name', 'name'])
  })

  test('callers that come at once while a signer is new are all served, each credential decoded once', async () => {
    let service = startService(buildSigner())
    const channel = connectTo(() => service)
    await signOne(channel, 0)
    service = startService(buildSigner())
    expect(await Promise.all([1, 2, 3, 4, 5].map((number) => signOne(channel, number)))).toEqual(
      Array.from({ length: 5 }, () => 'alice'),
    )
    expect(world.verified).toBe(6)
  })

  test('a question that was answered so, recorded and sent again, gets nothing: its credential counts once (replay)', async () => {
    let service = startService(buildSigner())
    const channel = connectTo(() => service)
    await signOne(channel, 0)
    service = startService(buildSigner())
    expect(await signOne(channel, 1)).toBe('alice')
    expect(decodeJwt(world.wire[3] ?? '')).toMatchObject({ keyUnknown: true })
    const response = await service.request('/verify', { method: 'POST', body: world.wire[2] ?? '' })
    expect(decodeJwt(await response.text())).toMatchObject({ refusal: 'munge_replayed' })
    // Nor does what was answered to it count for another question.
    const other = await channel.end.signRequest(FRESH[2] ?? '', CLIENT, 'short')
    expect(other.isKeyNamed).toBe(true)
    expect(await channel.end.openAnswer(world.wire[3] ?? '', other)).toMatchObject({ reason: 'binding' })
  })

  test('whoever knows the name of another gateway’s key gets nothing by it', async () => {
    const service = startService(buildSigner())
    const theirs = connectTo(() => service)
    await signOne(theirs, 0)
    await signOne(theirs, 1)
    const name = readQuestions()[1]?.sign
    // With MUNGE_VERIFIER_KEY, and a credential that was presented to him.
    const jws = await createSignature([KEY], TO_VERIFIER, () => NOW).sign({
      ...decodeJwt((JSON.parse(world.wire[2] ?? '{}') as { request: string }).request),
      nonce: 'AAAAAAAAAAAAAAAAAAAAAAAA',
      credential: await webSha256.hashToHex(FRESH[2] ?? ''),
      sign: name,
    })
    const response = await service.request('/verify', {
      method: 'POST',
      body: JSON.stringify({ credential: FRESH[2], request: jws }),
    })
    const [claims = '', sealed = ''] = (await response.text()).split('\n')
    expect(decodeJwt(claims)).toMatchObject({ claimed: { user: 'alice' } })
    const his = await connectTo(() => service).end.signRequest(FRESH[3] ?? '', CLIENT, 'whole')
    expect(await his.answerKey?.open(sealed)).toBeNull()
    const owner = await theirs.end.signRequest(FRESH[3] ?? '', CLIENT, 'short')
    expect(decodeJwt((await owner.answerKey?.open(sealed)) ?? '')['sun']).toBe('alice')
  })

  test('a name goes with a credential only: not with an API token, nor where nothing is presented', async () => {
    const service = startService(buildSigner())
    const channel = connectTo(() => service)
    await signOne(channel, 0)
    const { answerKey } = await channel.end.signRequest(FRESH[1] ?? '', CLIENT, 'short')
    const encrypted = await encryptToken(
      TOKEN,
      { nonce: 'AAAAAAAAAAAAAAAAAAAAAAAA', answerKey: answerKey?.name ?? '', madeAt: NOW / 1000 },
      mine.encryptionKey,
    )
    for (const about of [{}, { encrypted }]) {
      const claims = {
        nonce: 'AAAAAAAAAAAAAAAAAAAAAAAA',
        credential: null,
        client: null,
        sign: answerKey?.name,
        ...('encrypted' in about && { encrypted: await webSha256.hashToHex(encrypted) }),
      }
      const request = await createSignature([KEY], TO_VERIFIER, () => NOW).sign(claims)
      const body = JSON.stringify({ ...about, request })
      expect((await service.request('/verify', { method: 'POST', body })).status).toBe(401)
    }
    expect(world.log.lines).toMatchObject([
      { event: 'verifier_request_refused', fields: { reason: 'form' } },
      { event: 'verifier_request_refused', fields: { reason: 'form' } },
    ])
  })

  test('that a whole key is unknown is no answer: nobody is asked a third time', async () => {
    const signer = buildSigner()
    const channel = connect({ ...signer, openAnswerKey: () => Promise.resolve('unknown') })
    expect((await findOutage(signOne(channel, 0)))[1]).toContain('(verdict)')
    expect(readForms()).toEqual(['whole'])
    expect(world.verified).toBe(0)
  })

  test('a signer of before, which knows keys by no name, is sent them whole', async () => {
    const signer = buildSigner()
    const old: Signer = {
      ...signer,
      openAnswerKey: (text) => (isKeyName(text) ? Promise.resolve(null) : signer.openAnswerKey(text)),
    }
    let service = startService(signer)
    const channel = connectTo(() => service)
    expect(await signOne(channel, 0)).toBe('alice')
    service = startService(old)
    expect((await findOutage(signOne(channel, 1)))[0]).toBe('signer_unavailable')
    expect(world.verified).toBe(1)
    expect(await signOne(channel, 1)).toBe('alice')
    expect(readForms()).toEqual(['whole', 'name', 'whole'])
  })
})
