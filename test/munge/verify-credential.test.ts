/** The policy and its order, on answers as munged gives them. */

import { describe, expect, test, vi } from 'vitest'
import type { DecodeAnswer } from '../../src/munge/frame.ts'
import type { HostMap } from '../../src/munge/host-map.ts'
import {
  createMungeVerifier,
  type CredentialPolicy,
  type SignIdentity,
} from '../../src/munge/verify-credential.ts'
import type { ClientAddress } from '../../src/ports.ts'
import { isRefusal, Outage, refuse } from '../../src/refusal.ts'

const CREDENTIAL = `MUNGE:${Buffer.alloc(60, 7).toString('base64')}:`
const CLIENT: ClientAddress = { address: '10.0.0.7', isDirectLoopback: false, hostAddresses: [] }
const NOW = 1_800_000_000

const ACCEPTED: DecodeAnswer = {
  errorNumber: 0,
  errorText: '',
  ttlSeconds: 5,
  originAddress: '10.0.0.7',
  encodedAt: NOW,
  decodedAt: NOW + 1,
  uid: 1234,
  gid: 1234,
  restrictedUid: null,
  restrictedGid: null,
  payload: new Uint8Array(),
}

/** A wrong answer to every question; each test repairs what comes before the one it asks about. */
const ALL_WRONG: DecodeAnswer = {
  ...ACCEPTED,
  errorNumber: 17,
  ttlSeconds: 300,
  encodedAt: NOW - 100,
  payload: new Uint8Array(9),
  restrictedUid: 5,
  originAddress: '192.0.2.7',
  uid: 0,
}

function setUp(
  answer: Partial<DecodeAnswer>,
  more: { policy?: Partial<CredentialPolicy>; name?: string | null; hostMap?: HostMap | null } = {},
) {
  const asked: string[] = []
  const lines: Record<string, unknown>[] = []
  const name = more.name === undefined ? 'alice' : more.name
  const verifier = createMungeVerifier({
    munged: {
      decode: (credential) => {
        asked.push(credential)
        return Promise.resolve({ ...ACCEPTED, ...answer })
      },
      check: () => Promise.resolve(),
    },
    findUserName: () => Promise.resolve(name),
    policy: {
      maxTtlSeconds: 5,
      minUid: 1000,
      deniedUsers: new Set(['slurm', 'nobody']),
      hostBinding: 'strict',
      ...more.policy,
    },
    findHostMap: () => more.hostMap ?? null,
    log: { write: (level, event, fields) => void lines.push({ level, event, ...fields }) },
  })
  return { verifier, asked, lines }
}

async function findRule(...parameters: Parameters<typeof setUp>): Promise<string | null> {
  const outcome = await setUp(...parameters).verifier.verify(CREDENTIAL, CLIENT)
  return isRefusal(outcome) ? outcome.rule : null
}

test('a fresh credential of an ordinary user on his own host is accepted until munged lets it expire', async () => {
  const { verifier, asked } = setUp({})
  expect(await verifier.verify(CREDENTIAL, CLIENT)).toEqual({
    user: 'alice',
    uid: 1234,
    credentialDigest: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    expiresAt: NOW + 5,
    boundDigest: null,
  })
  expect(asked).toEqual([CREDENTIAL])
})

test('another spelling of a credential is refused before munged is asked', async () => {
  const { verifier, asked } = setUp({})
  for (const raw of [` ${CREDENTIAL}`, `${CREDENTIAL}x`, '', 'MUNGE::', 'hello', 'A'.repeat(9000)]) {
    expect(await verifier.verify(raw, CLIENT)).toMatchObject({ rule: 'munge_malformed' })
  }
  expect(asked).toEqual([])
})

test.each([
  [2, 'munge_malformed'],
  [3, 'munge_malformed'],
  [8, 'munge_invalid'],
  [9, 'munge_invalid'],
  [10, 'munge_invalid'],
  [11, 'munge_invalid'],
  [12, 'munge_invalid'],
  [13, 'munge_invalid'],
  [14, 'munge_invalid'],
  [15, 'munge_expired'],
  [16, 'munge_rewound'],
  [17, 'munge_replayed'],
  [18, 'munge_restricted'],
])('error %i of munged is %s, though the rest of the answer would pass', async (errorNumber, rule) => {
  expect(await findRule({ errorNumber })).toBe(rule)
})

test.each([1, 4, 5, 6, 7, 19, 255])(
  'error %i of munged is an outage, neither yes nor no',
  async (errorNumber) => {
    const { verifier, lines } = setUp({ errorNumber, errorText: 'No' })
    const failure = await verifier.verify(CREDENTIAL, CLIENT).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(Outage)
    expect(failure).toMatchObject({ rule: 'munged_unavailable' })
    expect(lines).toMatchObject([{ outcome: 'outage', rule: 'munged_unavailable' }])
  },
)

test('the questions are asked in order: munged, lifetime, age, payload, restriction, host, uid, name, denial', async () => {
  const repairs: [string | null, Partial<DecodeAnswer>][] = [
    ['munge_replayed', { errorNumber: 0 }],
    ['munge_ttl_too_long', { ttlSeconds: 5 }],
    ['munge_expired', { encodedAt: NOW }],
    ['munge_payload', { payload: new Uint8Array() }],
    ['munge_restricted', { restrictedUid: null }],
    ['munge_wrong_host', { originAddress: '10.0.0.7' }],
    ['munge_uid_too_low', { uid: 64030 }],
  ]
  let answer = ALL_WRONG
  for (const [rule, repair] of repairs) {
    expect(await findRule(answer, { name: null })).toBe(rule)
    answer = { ...answer, ...repair }
  }
  expect(await findRule(answer, { name: null })).toBe('munge_user_unknown')
  expect(await findRule(answer, { name: 'slurm' })).toBe('munge_user_denied')
  expect(await findRule(answer, { name: 'Slurm' })).toBe('munge_user_denied')
  expect(await findRule(answer, { name: 'slurmish' })).toBeNull()
})

test('a lifetime over the maximum is refused in its own words', async () => {
  expect(await setUp({ ttlSeconds: 300 }).verifier.verify(CREDENTIAL, CLIENT)).toEqual({
    kind: 'refusal',
    rule: 'munge_ttl_too_long',
    description: 'this credential lives 300 s; create it with: munge -n -t 5',
  })
  const lowered = setUp({ ttlSeconds: 5 }, { policy: { maxTtlSeconds: 3 } })
  expect(await lowered.verifier.verify(CREDENTIAL, CLIENT)).toMatchObject({
    description: 'this credential lives 5 s; create it with: munge -n -t 3',
  })
  expect(await findRule({ ttlSeconds: 6 })).toBe('munge_ttl_too_long')
  expect(await findRule({ ttlSeconds: 0 })).toBe('munge_ttl_too_long')
})

test('a credential older than the maximum, or from further ahead, is refused whatever munged says', async () => {
  expect(await findRule({ encodedAt: NOW, decodedAt: NOW + 5 })).toBeNull()
  expect(await findRule({ encodedAt: NOW, decodedAt: NOW + 6 })).toBe('munge_expired')
  expect(await findRule({ encodedAt: NOW + 5, decodedAt: NOW })).toBeNull()
  expect(await findRule({ encodedAt: NOW + 6, decodedAt: NOW })).toBe('munge_rewound')
})

test('a restriction to a user or a group is refused, even one that lets the verifier decode', async () => {
  expect(await findRule({ restrictedUid: 0 })).toBe('munge_restricted')
  expect(await findRule({ restrictedGid: 0 })).toBe('munge_restricted')
})

test('the refusal of another host names the client, never the origin', async () => {
  const outcome = await setUp({ originAddress: '192.0.2.7' }).verifier.verify(CREDENTIAL, CLIENT)
  expect(outcome).toMatchObject({ rule: 'munge_wrong_host' })
  expect(JSON.stringify(outcome)).toContain('10.0.0.7')
  expect(JSON.stringify(outcome)).not.toContain('192.0.2.7')
})

const PREFIX = Buffer.from('slurmgate1:')

test('a credential that is bound to a request is accepted, and says to which', async () => {
  const payload = Buffer.concat([PREFIX, Buffer.alloc(32, 0xa5)])
  expect(await setUp({ payload }).verifier.verify(CREDENTIAL, CLIENT)).toMatchObject({
    user: 'alice',
    boundDigest: 'a5'.repeat(32),
  })
})

test.each([
  ['text', Buffer.from('hello')],
  ['one byte', Buffer.of(0)],
  ['the prefix alone', PREFIX],
  ['31 bytes after the prefix', Buffer.concat([PREFIX, Buffer.alloc(31)])],
  ['33 bytes after the prefix', Buffer.concat([PREFIX, Buffer.alloc(33)])],
  ['another version', Buffer.concat([Buffer.from('slurmgate2:'), Buffer.alloc(32)])],
  ['another prefix', Buffer.concat([Buffer.from('slurmgate1 '), Buffer.alloc(32)])],
])('any other payload is refused: %s', async (_what, payload) => {
  expect(await findRule({ payload })).toBe('munge_payload')
})

test('a bound credential is judged like any other: lifetime, restriction, host, user', async () => {
  const payload = Buffer.concat([PREFIX, Buffer.alloc(32)])
  expect(await findRule({ payload, errorNumber: 17 })).toBe('munge_replayed')
  expect(await findRule({ payload, ttlSeconds: 6 })).toBe('munge_ttl_too_long')
  expect(await findRule({ payload, restrictedUid: 0 })).toBe('munge_restricted')
  expect(await findRule({ payload, originAddress: '192.0.2.7' })).toBe('munge_wrong_host')
  expect(await findRule({ payload, uid: 0 })).toBe('munge_uid_too_low')
})

test('the minimum uid itself is accepted, the one below is not', async () => {
  expect(await findRule({ uid: 1000 })).toBeNull()
  expect(await findRule({ uid: 999 })).toBe('munge_uid_too_low')
})

test('each verification is one line of the log, with who and where from, without the credential', async () => {
  const { verifier, lines } = setUp({ errorNumber: 17, errorText: 'Replayed credential' })
  await verifier.verify(CREDENTIAL, CLIENT)
  expect(lines).toEqual([
    {
      level: 'audit',
      event: 'munge_decision',
      outcome: 'refused',
      rule: 'munge_replayed',
      credential: expect.stringMatching(/^[0-9a-f]{16}$/) as string,
      uid: 1234,
      user: null,
      client: '10.0.0.7',
      origin: '10.0.0.7',
      munged: 'Replayed credential',
    },
  ])
  expect(JSON.stringify(lines)).not.toContain(CREDENTIAL.slice(6, 30))
})

describe('where a signer signs for the accepted', () => {
  const SIGNED = { token: 'a.b.c', digest: 'ab'.repeat(32), issuedAt: NOW, useUntil: NOW + 60 }
  const sign: SignIdentity = (identity) => Promise.resolve({ ...identity, slurmToken: SIGNED })
  const REPLAYED = refuse('munge_replayed')
  const accepted = { event: 'munge_decision', outcome: 'accepted', rule: null, user: 'alice', uid: 1234 }

  test('one line says both, with all that each of them says', async () => {
    const { verifier, lines } = setUp({})
    expect(await verifier.verify(CREDENTIAL, CLIENT, sign)).toMatchObject({ slurmToken: SIGNED })
    expect(lines).toEqual([
      {
        ...accepted,
        level: 'audit',
        credential: expect.stringMatching(/^[0-9a-f]{16}$/) as string,
        client: '10.0.0.7',
        origin: '10.0.0.7',
        signed: true,
      },
    ])
  })

  test.each<[string, SignIdentity, object]>([
    ['refuses', () => Promise.resolve(REPLAYED), REPLAYED],
    ['fails', () => Promise.reject(new Outage('replay_guard_unavailable', 'down')), Outage],
  ])(
    'the line of a credential that the signer %s says that nothing was signed',
    async (_what, sign, outcome) => {
      const { verifier, lines } = setUp({})
      const asked = verifier.verify(CREDENTIAL, CLIENT, sign).catch((error: unknown) => error)
      if (outcome === Outage) expect(await asked).toBeInstanceOf(Outage)
      else expect(await asked).toEqual(outcome)
      expect(lines).toMatchObject([{ ...accepted, signed: false }])
      expect(lines).toHaveLength(1)
    },
  )

  test('the signer is not asked about a refused one, and its line says nothing of signing', async () => {
    const { verifier, lines } = setUp({ uid: 0 })
    const sign = vi.fn<SignIdentity>()
    expect(await verifier.verify(CREDENTIAL, CLIENT, sign)).toMatchObject({ rule: 'munge_uid_too_low' })
    expect(sign).not.toHaveBeenCalled()
    expect(lines).toMatchObject([{ outcome: 'refused', rule: 'munge_uid_too_low' }])
    expect(lines[0]).not.toHaveProperty('signed')
  })
})

test('what only the host map allows is accepted, and its line in the log says so', async () => {
  const hostMap: HostMap = {
    hosts: 1,
    sharedHosts: 0,
    has: (origin, client) => origin === '192.0.2.7' && client === CLIENT.address,
  }
  const policy = { hostBinding: 'map' } as const
  const mapped = setUp({ originAddress: '192.0.2.7' }, { policy, hostMap })
  expect(await mapped.verifier.verify(CREDENTIAL, CLIENT)).toMatchObject({ user: 'alice' })
  expect(mapped.lines).toMatchObject([{ outcome: 'accepted', origin: '192.0.2.7', hostBinding: 'map' }])

  expect(await findRule({ originAddress: '192.0.2.8' }, { policy, hostMap })).toBe('munge_wrong_host')
  expect(await findRule({ originAddress: '192.0.2.7' }, { policy })).toBe('munge_wrong_host')
  expect(await findRule({ originAddress: '192.0.2.7' }, { hostMap })).toBe('munge_wrong_host')
  const strict = setUp({}, { policy, hostMap })
  expect(await strict.verifier.verify(CREDENTIAL, CLIENT)).toMatchObject({ user: 'alice' })
  expect(strict.lines[0]).not.toHaveProperty('hostBinding')
})

const AT_EDGE: ClientAddress = { ...CLIENT, isNamedByEdge: true }

test.each(['strict', 'off'] as const)(
  'a client that Cloudflare names is refused with %s binding, before munged is asked: the credential is not used up',
  async (hostBinding) => {
    const { verifier, asked, lines } = setUp({}, { policy: { hostBinding } })
    expect(await verifier.verify(CREDENTIAL, AT_EDGE)).toMatchObject({ rule: 'munge_edge_needs_map' })
    expect(asked).toEqual([])
    expect(lines).toMatchObject([
      { event: 'munge_decision', outcome: 'refused', rule: 'munge_edge_needs_map' },
    ])
    expect(await verifier.verify(CREDENTIAL, CLIENT)).toMatchObject({ user: 'alice' })
  },
)

test('a client that Cloudflare names is held against the map', async () => {
  const hostMap: HostMap = {
    hosts: 1,
    sharedHosts: 0,
    has: (origin, client) => `${origin} ${client}` === '10.1.0.9 10.0.0.7',
  }
  const verify = (originAddress: string) =>
    setUp({ originAddress }, { policy: { hostBinding: 'map' }, hostMap }).verifier.verify(CREDENTIAL, AT_EDGE)
  expect(await verify('10.1.0.9')).toMatchObject({ user: 'alice' })
  expect(await verify('10.1.0.8')).toMatchObject({ rule: 'munge_wrong_host' })
  expect(await verify('127.0.1.1')).toMatchObject({ rule: 'munge_wrong_host' })
})
