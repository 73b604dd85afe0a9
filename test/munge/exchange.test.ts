/** Source: the point 3, and SECURITY: nobody else can use the verifier as an oracle, forge, reflect or move an answer. */

import { CompactSign, decodeJwt, SignJWT } from 'jose'
import { expect, test } from 'vitest'
import { createSignature, TO_GATEWAY, TO_VERIFIER } from '../../src/munge/exchange-signature.ts'
import { createGatewayEnd, createVerifierEnd, type GenuineRequest } from '../../src/munge/exchange.ts'
import type { Verdict } from '../../src/munge/verdict.ts'
import type { ClientAddress } from '../../src/ports.ts'

const KEY = new Uint8Array(32).fill(1)
const OTHER_KEY = new Uint8Array(32).fill(2)
const CREDENTIAL = 'MUNGE:AAAA:'
const CLIENT: ClientAddress = { address: '10.0.0.7', isDirectLoopback: false, hostAddresses: [] }
const NOW = 1_800_000_000_000
const ALICE: Verdict & { kind: 'identity' } = {
  kind: 'identity',
  identity: {
    user: 'alice',
    uid: 1234,
    credentialDigest: 'ab'.repeat(32),
    expiresAt: 1_800_000_005,
    boundDigest: null,
  },
}
const BOUND: Verdict = { ...ALICE, identity: { ...ALICE.identity, boundDigest: 'cd'.repeat(32) } }
const REPLAYED: Verdict = { kind: 'refusal', refusal: { kind: 'refusal', rule: 'munge_replayed' } }

let count = 0
const randomBytes = (length: number): Uint8Array => new Uint8Array(length).fill((count += 1))
const gateway = (keys = [KEY], now = NOW) => createGatewayEnd({ keys, clock: () => now, randomBytes })
const verifier = (keys = [KEY], now = NOW) => createVerifierEnd({ keys, clock: () => now })

async function openGenuine(jws: string, end = verifier()): Promise<GenuineRequest> {
  const request = await end.openRequest(jws, CREDENTIAL)
  if (request.kind !== 'genuine') throw new Error(`not believed: ${request.reason}`)
  return request
}

const disbelieved = (reason: string) => ({ kind: 'disbelieved', reason })

test('a request carries the client it was signed for, and its answer is believed', async () => {
  const client = { address: '127.0.0.1', isDirectLoopback: true, hostAddresses: ['10.0.0.7', 'fd00::7'] }
  const end = gateway()
  const pending = await end.signRequest(CREDENTIAL, client)
  const request = await openGenuine(pending.jws)
  expect(request.client).toEqual(client)
  for (const verdict of [ALICE, BOUND, REPLAYED, { kind: 'outage', rule: 'munged_unavailable' }] as const) {
    expect(await end.openAnswer(await verifier().signAnswer(request, verdict), pending)).toEqual(verdict)
  }
})

test('that an edge named the client is signed, and so is that none did', async () => {
  for (const client of [CLIENT, { ...CLIENT, isNamedByEdge: true } as const]) {
    const { jws } = await gateway().signRequest(CREDENTIAL, client)
    expect(decodeJwt(jws)).toMatchObject({ client: { isNamedByEdge: 'isNamedByEdge' in client } })
    expect((await openGenuine(jws)).client).toEqual(client)
  }
})

test.each([[undefined], [null], [true], [1], ['false'], [0], [[]]])(
  'a client of whom it is not said that no edge named it (%j) counts as named by one',
  async (isNamedByEdge) => {
    const genuine = decodeJwt((await gateway().signRequest(CREDENTIAL, CLIENT)).jws)
    const client = { ...CLIENT, isNamedByEdge }
    const jws = await createSignature([KEY], TO_VERIFIER, () => NOW).sign({ ...genuine, client })
    expect((await openGenuine(jws)).client).toEqual({ ...CLIENT, isNamedByEdge: true })
  },
)

test('a message says neither the credential nor the key', async () => {
  const { jws } = await gateway().signRequest(CREDENTIAL, CLIENT)
  expect(JSON.stringify(decodeJwt(jws))).not.toContain('AAAA')
})

test('a request signed with another key is not believed', async () => {
  const { jws } = await gateway([OTHER_KEY]).signRequest(CREDENTIAL, CLIENT)
  expect(await verifier().openRequest(jws, CREDENTIAL)).toEqual(disbelieved('signature'))
})

test('a request signed with the shared secret itself, not the key derived for its direction, is not believed', async () => {
  const claims = decodeJwt((await gateway().signRequest(CREDENTIAL, CLIENT)).jws)
  const header = { alg: 'HS256', typ: TO_VERIFIER.type }
  const jws = await new SignJWT(claims).setProtectedHeader(header).sign(KEY)
  expect(await verifier().openRequest(jws, CREDENTIAL)).toEqual(disbelieved('signature'))
})

test('an unsigned request ("alg": "none") is not believed', async () => {
  const { jws } = await gateway().signRequest(CREDENTIAL, CLIENT)
  const [, payload = ''] = jws.split('.')
  const header = Buffer.from(JSON.stringify({ alg: 'none', typ: TO_VERIFIER.type })).toString('base64url')
  for (const forged of [`${header}.${payload}.`, `${header}.${payload}`, '', '..', 'hello']) {
    expect(await verifier().openRequest(forged, CREDENTIAL)).toEqual(disbelieved('signature'))
  }
})

test('a request is not believed for another credential, or for none', async () => {
  const { jws } = await gateway().signRequest(CREDENTIAL, CLIENT)
  expect(await verifier().openRequest(jws, 'MUNGE:AAAB:')).toEqual(disbelieved('binding'))
  expect(await verifier().openRequest(jws, `${CREDENTIAL} `)).toEqual(disbelieved('binding'))
  expect(await verifier().openRequest(jws, null)).toEqual(disbelieved('binding'))
})

test('the client address cannot be changed on the way', async () => {
  const { jws } = await gateway().signRequest(CREDENTIAL, CLIENT)
  const [header = '', , signature = ''] = jws.split('.')
  const claims = { ...decodeJwt(jws), client: { ...CLIENT, address: '10.0.0.8' } }
  const payload = Buffer.from(JSON.stringify(claims)).toString('base64url')
  expect(await verifier().openRequest(`${header}.${payload}.${signature}`, CREDENTIAL)).toEqual(
    disbelieved('signature'),
  )
})

test.each([
  ['5 s old', 5, true],
  ['5 s ahead', -5, true],
  ['6 s old', 6, false],
  ['6 s ahead', -6, false],
])('a request and an answer %s: believed is %s', async (_what, seconds, isBelieved) => {
  const later = NOW + seconds * 1000
  const pending = await gateway().signRequest(CREDENTIAL, CLIENT)
  const opened = await verifier([KEY], later).openRequest(pending.jws, CREDENTIAL)
  expect(opened.kind === 'genuine').toBe(isBelieved)
  const answer = await verifier().signAnswer(await openGenuine(pending.jws), ALICE)
  const verdict = await gateway([KEY], later).openAnswer(answer, pending)
  expect(verdict).toEqual(isBelieved ? ALICE : disbelieved('clock'))
})

test('an answer signed with another key is not believed', async () => {
  const pending = await gateway().signRequest(CREDENTIAL, CLIENT)
  const answer = await verifier([OTHER_KEY]).signAnswer(await openGenuine(pending.jws), ALICE)
  expect(await gateway().openAnswer(answer, pending)).toEqual(disbelieved('signature'))
})

test('a request reflected as its own answer is not believed', async () => {
  const pending = await gateway().signRequest(CREDENTIAL, CLIENT)
  expect(await gateway().openAnswer(pending.jws, pending)).toEqual(disbelieved('signature'))
})

test('an answer sent back as a request is not believed', async () => {
  const pending = await gateway().signRequest(CREDENTIAL, CLIENT)
  const answer = await verifier().signAnswer(await openGenuine(pending.jws), ALICE)
  expect(await verifier().openRequest(answer, CREDENTIAL)).toEqual(disbelieved('signature'))
})

test("an answer signed with the other direction's key, but its own type and audience, is not believed", async () => {
  const pending = await gateway().signRequest(CREDENTIAL, CLIENT)
  const genuine = decodeJwt(await verifier().signAnswer(await openGenuine(pending.jws), ALICE))
  const wrong = createSignature([KEY], { ...TO_GATEWAY, info: TO_VERIFIER.info }, () => NOW)
  expect(await gateway().openAnswer(await wrong.sign(genuine), pending)).toEqual(disbelieved('signature'))
})

test('an answer for another audience, or of another type, is not believed', async () => {
  const pending = await gateway().signRequest(CREDENTIAL, CLIENT)
  const genuine = decodeJwt(await verifier().signAnswer(await openGenuine(pending.jws), ALICE))
  const audience = createSignature([KEY], { ...TO_GATEWAY, audience: TO_VERIFIER.audience }, () => NOW)
  expect(await gateway().openAnswer(await audience.sign(genuine), pending)).toEqual(disbelieved('audience'))
  const type = createSignature([KEY], { ...TO_GATEWAY, type: 'JWT' }, () => NOW)
  expect(await gateway().openAnswer(await type.sign(genuine), pending)).toEqual(disbelieved('signature'))
})

test('an answer is not believed for another request, even of the same credential and client', async () => {
  const first = await gateway().signRequest(CREDENTIAL, CLIENT)
  const second = await gateway().signRequest(CREDENTIAL, CLIENT)
  const answer = await verifier().signAnswer(await openGenuine(first.jws), ALICE)
  expect(await gateway().openAnswer(answer, first)).toEqual(ALICE)
  expect(await gateway().openAnswer(answer, second)).toEqual(disbelieved('binding'))
  const sameNonce = await createGatewayEnd({
    keys: [KEY],
    clock: () => NOW,
    randomBytes: (length) => Uint8Array.from(Buffer.from(first.nonce, 'base64')).subarray(0, length),
  }).signRequest(CREDENTIAL, { ...CLIENT, address: '10.0.0.8' })
  expect(sameNonce.nonce).toBe(first.nonce)
  expect(await gateway().openAnswer(answer, sameNonce)).toEqual(disbelieved('binding'))
})

test("an answer to exactly this request, but with another request's nonce, is not believed", async () => {
  const pending = await gateway().signRequest(CREDENTIAL, CLIENT)
  const request = { ...(await openGenuine(pending.jws)), nonce: 'AAAAAAAAAAAAAAAAAAAAAA==' }
  const answer = await verifier().signAnswer(request, ALICE)
  expect(await gateway().openAnswer(answer, pending)).toEqual(disbelieved('binding'))
})

test('keys rotate: the first signs, all are believed, a dropped one is not', async () => {
  const steps: [gateway: Uint8Array<ArrayBuffer>[], verifier: Uint8Array<ArrayBuffer>[]][] = [
    [[KEY, OTHER_KEY], [KEY]],
    [
      [KEY, OTHER_KEY],
      [KEY, OTHER_KEY],
    ],
    [
      [OTHER_KEY, KEY],
      [KEY, OTHER_KEY],
    ],
    [[OTHER_KEY], [OTHER_KEY, KEY]],
  ]
  for (const [gatewayKeys, verifierKeys] of steps) {
    const pending = await gateway(gatewayKeys).signRequest(CREDENTIAL, CLIENT)
    const end = verifier(verifierKeys)
    const answer = await end.signAnswer(await openGenuine(pending.jws, end), ALICE)
    expect(await gateway(gatewayKeys).openAnswer(answer, pending)).toEqual(ALICE)
  }
  const old = await gateway([KEY]).signRequest(CREDENTIAL, CLIENT)
  expect(await verifier([OTHER_KEY]).openRequest(old.jws, CREDENTIAL)).toEqual(disbelieved('signature'))
})

test.each([
  ['no verdict', {}],
  [
    'two verdicts',
    {
      identity: ALICE.identity,
      refusal: 'munge_replayed',
    },
  ],
  ['an unknown rule', { refusal: 'munge_tired' }],
  ["a rule that is the gateway's own", { refusal: 'token_revoked' }],
  ['a rule from the prototype', { refusal: 'constructor' }],
  ["an outage that is the gateway's own", { outage: 'overloaded' }],
  [
    'an identity without uid',
    { identity: { user: 'alice', credentialDigest: 'ab'.repeat(32), expiresAt: 1, boundDigest: null } },
  ],
  ['an empty user', { identity: { ...ALICE.identity, user: '' } }],
  // As an end that knows nothing of bindings would say it: nobody may take that for "not bound".
  [
    'an identity that does not say whether it is bound',
    { identity: { ...ALICE.identity, boundDigest: undefined } },
  ],
  ['a binding that is no digest', { identity: { ...ALICE.identity, boundDigest: 'cd'.repeat(31) } }],
  ['a binding in capitals', { identity: { ...ALICE.identity, boundDigest: 'CD'.repeat(32) } }],
  ['a binding that is false', { identity: { ...ALICE.identity, boundDigest: false } }],
  ['an empty binding', { identity: { ...ALICE.identity, boundDigest: '' } }],
  ['ready as a word', { ready: 'yes' }],
])('a signed answer with %s is not believed', async (_what, claims) => {
  const pending = await gateway().signRequest(CREDENTIAL, CLIENT)
  const genuine = decodeJwt(await verifier().signAnswer(await openGenuine(pending.jws), { kind: 'ready' }))
  const rest = Object.fromEntries(Object.entries(genuine).filter(([name]) => name !== 'ready'))
  const answer = await createSignature([KEY], TO_GATEWAY, () => NOW).sign({ ...rest, ...claims })
  expect(await gateway().openAnswer(answer, pending)).toEqual(disbelieved('verdict'))
})

test.each([
  ['no client', null],
  ['a client address that is not canonical', { ...CLIENT, address: '010.0.0.7' }],
  ['a client address that is a name', { ...CLIENT, address: 'localhost' }],
  ['directness as a word', { ...CLIENT, isDirectLoopback: 'true' }],
  ['too many host addresses', { ...CLIENT, hostAddresses: Array.from({ length: 65 }, () => '10.0.0.1') }],
])('a signed request with %s is not believed', async (_what, client) => {
  const genuine = decodeJwt((await gateway().signRequest(CREDENTIAL, CLIENT)).jws)
  const jws = await createSignature([KEY], TO_VERIFIER, () => NOW).sign({ ...genuine, client })
  expect(await verifier().openRequest(jws, CREDENTIAL)).toEqual(disbelieved('form'))
})

test('a signed message that is not a JSON object is not believed', async () => {
  const raw = { ...TO_VERIFIER }
  const parent = await crypto.subtle.importKey('raw', KEY, 'HKDF', false, ['deriveBits'])
  const info = new TextEncoder().encode(raw.info)
  const key = await crypto.subtle.deriveBits(
    { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info },
    parent,
    256,
  )
  for (const text of ['[]', 'null', '"x"', '{', '']) {
    const jws = await new CompactSign(new TextEncoder().encode(text))
      .setProtectedHeader({ alg: 'HS256', typ: raw.type })
      .sign(new Uint8Array(key))
    expect(await verifier().openRequest(jws, CREDENTIAL)).toEqual(disbelieved('form'))
  }
})
