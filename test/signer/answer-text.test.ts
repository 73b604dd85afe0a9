/** What goes beside the claims of an answer is theirs: the Slurm token that they name, and nothing else (forgery, a moved answer). */

import { decodeJwt } from 'jose'
import { expect, test } from 'vitest'
import { createSignature, TO_GATEWAY } from '../../src/munge/exchange-signature.ts'
import { createRemoteVerifier } from '../../src/munge/remote-verifier.ts'
import {
  buildSigner,
  CLIENT,
  connectTo,
  CREDENTIAL,
  findOutage,
  KEY,
  NOW,
  startService,
  world,
} from './in-memory-signer.ts'

const OTHER_CREDENTIAL = `MUNGE:${Buffer.alloc(60, 9).toString('base64')}:`

type Change = (claims: string, sealed: string | undefined) => string

/** Somebody on the way, who changes answers. */
function connectThrough(change: Change, isSigner = true) {
  const service = startService(isSigner ? buildSigner() : null)
  return connectTo(() => ({
    request: async (...parameters) => {
      const answer = await service.request(...parameters)
      const [claims = '', sealed] = (await answer.text()).split('\n')
      return new Response(change(claims, sealed), { status: answer.status })
    },
  }))
}

async function verify(
  channel: ReturnType<typeof connectTo>,
  { isSignedThere = true, credential = CREDENTIAL } = {},
): Promise<string> {
  const found = await createRemoteVerifier({ channel, isSignedThere }).verify(credential, CLIENT)
  if ('kind' in found) return found.rule
  return 'slurmToken' in found ? String(decodeJwt(found.slurmToken.token)['sun']) : 'to be claimed'
}

const asIs: Change = (claims, sealed) => (sealed === undefined ? claims : `${claims}\n${sealed}`)

test('the claims say the digest of what comes beside them, and have none of it', async () => {
  expect(await verify(connectThrough(asIs))).toBe('alice')
  const [claims = '', sealed = ''] = (world.wire[1] ?? '').split('\n')
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(sealed))
  expect(decodeJwt(claims)).toMatchObject({
    claimed: { user: 'alice', slurmToken: { digest: Buffer.from(digest).toString('hex') } },
  })
  expect(JSON.stringify(decodeJwt(claims))).not.toContain(sealed.slice(-20))
})

test.each<[string, Change, string]>([
  ['is left out', (claims) => claims, 'verdict'],
  ['is empty', (claims) => `${claims}\n`, 'encryption'],
  ['is longer than any token', (claims) => `${claims}\n${'A'.repeat(4_097)}`, 'verdict'],
  ['is another text', (claims) => `${claims}\n${'A'.repeat(300)}`, 'encryption'],
  ['has a changed end', (claims, sealed = '') => `${claims}\n${sealed.slice(0, -4)}AAAA`, 'encryption'],
  ['comes twice', (claims, sealed = '') => `${claims}\n${sealed}\n${sealed}`, 'encryption'],
  ['comes first', (claims, sealed = '') => `${sealed}\n${claims}`, 'signature'],
])('an answer whose Slurm token %s is not believed', async (_what, change, reason) => {
  expect(await findOutage(verify(connectThrough(change)))).toEqual([
    'verifier_unavailable',
    expect.stringContaining(`(${reason})`),
  ])
})

test('a Slurm token that was sealed for another gateway is not believed beside claims that name another one', async () => {
  const service = startService(buildSigner())
  expect(await verify(connectTo(() => service))).toBe('alice')
  const [, theirs = ''] = (world.wire[1] ?? '').split('\n')
  const channel = connectThrough((claims) => `${claims}\n${theirs}`)
  expect((await findOutage(verify(channel)))[1]).toContain('(encryption)')
})

test('a Slurm token of another user is not believed, new or known, whoever signed the claims', async () => {
  const service = startService(buildSigner())
  const sign = createSignature([KEY], TO_GATEWAY, () => NOW)
  let user = 'bob'
  const channel = connectTo(() => ({
    request: async (...parameters) => {
      const answer = await service.request(...parameters)
      const [jws = '', sealed = ''] = (await answer.text()).split('\n')
      const claims = decodeJwt<{ claimed: object }>(jws)
      return new Response(
        `${await sign.sign({ ...claims, claimed: { ...claims.claimed, user } })}\n${sealed}`,
      )
    },
  }))
  expect((await findOutage(verify(channel)))[1]).toContain('(encryption)')
  user = 'alice'
  expect(await verify(channel, { credential: OTHER_CREDENTIAL })).toBe('alice')
  user = 'bob'
  const third = `MUNGE:${Buffer.alloc(60, 11).toString('base64')}:`
  expect((await findOutage(verify(channel, { credential: third })))[1]).toContain('(encryption)')
})

test('what is changed on the way once it is known is not looked at: the claims say which it is', async () => {
  let isChanged = false
  const channel = connectThrough((claims, sealed = '') => `${claims}\n${isChanged ? 'A' : sealed}`)
  expect(await verify(channel)).toBe('alice')
  isChanged = true
  expect(await verify(channel, { credential: OTHER_CREDENTIAL })).toBe('alice')
})

test('nothing goes beside a refusal, nor beside an identity that is still to be claimed', async () => {
  const beside: Change = (claims) => `${claims}\nAAAA`
  expect((await findOutage(verify(connectThrough(beside, false), { isSignedThere: false })))[1]).toContain(
    '(verdict)',
  )
  const signer = connectThrough((claims, sealed) =>
    sealed === undefined ? beside(claims, '') : asIs(claims, sealed),
  )
  expect(await verify(signer)).toBe('alice')
  expect((await findOutage(verify(signer)))[1]).toContain('(verdict)')
})

test('signed unasked, or not signed although asked, is an answer about something else', async () => {
  const channel = connectThrough(asIs)
  const signedUnasked = {
    ...channel,
    end: {
      ...channel.end,
      signRequest: (credential: string | null, client: typeof CLIENT | null) =>
        channel.end.signRequest(credential, client, 'whole'),
    },
  }
  expect((await findOutage(verify(signedUnasked, { isSignedThere: false })))[1]).toContain('something else')
  const unsigned = {
    ...channel,
    end: {
      ...channel.end,
      signRequest: (credential: string | null, client: typeof CLIENT | null) =>
        channel.end.signRequest(credential, client),
    },
  }
  expect((await findOutage(verify(unsigned, { credential: OTHER_CREDENTIAL })))[1]).toContain(
    'something else',
  )
})
