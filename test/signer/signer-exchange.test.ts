/** What the wire shows of a Slurm token, and how a gateway finds out that nobody signs for it. */

import { decodeJwt } from 'jose'
import { hash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createRemoteVerifier } from '../../src/munge/remote-verifier.ts'
import { Outage } from '../../src/refusal.ts'
import type { EncryptionKey } from '../../src/signer/encryption-key.ts'
import { encryptToken } from '../../src/signer/encrypted-token.ts'
import type { Signer } from '../../src/signer/signer.ts'
import {
  buildSigner,
  CLIENT,
  connect,
  CREDENTIAL,
  findOutage,
  mine,
  others,
  readWire,
  ROW,
  TOKEN,
  world,
} from './in-memory-signer.ts'

describe('whoever reads the way between gateway and signer gets no Slurm token', () => {
  test('for a MUNGE credential', async () => {
    const channel = connect(buildSigner())
    const identity = await createRemoteVerifier({ channel, isSignedThere: true }).verify(CREDENTIAL, CLIENT)
    const token = 'slurmToken' in identity ? identity.slurmToken.token : ''
    expect(decodeJwt(token)['sun']).toBe('alice')
    const [header = '-', claims = '-', signature = '-'] = token.split('.')
    const wire = readWire()
    expect(wire).toContain(CREDENTIAL)
    for (const part of [header, claims, signature, '"sun"']) expect(wire).not.toContain(part)
  })

  test('for an API token', async () => {
    const channel = connect(buildSigner())
    const pending = await channel.end.signTokenRequest((binding) =>
      encryptToken(TOKEN, binding, mine.encryptionKey),
    )
    const verdict = await channel.ask(pending, { encrypted: pending.encrypted })
    const token = verdict.kind === 'signed' ? verdict.signed.slurmToken.token : ''
    expect(decodeJwt(token)['sun']).toBe('alice')
    const wire = readWire()
    expect(wire).toContain(ROW.id)
    for (const part of [...token.split('.'), '"sun"', TOKEN]) expect(wire).not.toContain(part)
  })
})

describe('a gateway asks whether it is signed for', () => {
  test('yes: the signer has the key and its store answers', async () => {
    await expect(connect(buildSigner()).checkSigner()).resolves.toBeUndefined()
    expect(world.log.lines).toEqual([])
  })

  test('a verifier that signs nothing is no signer, however well it is', async () => {
    const channel = connect(null)
    await expect(channel.check()).resolves.toBeUndefined()
    expect(await findOutage(channel.checkSigner())).toEqual([
      'signer_unavailable',
      expect.stringContaining('VERIFIER_SIGNS'),
    ])
    expect(world.log.lines).toMatchObject([
      {
        level: 'warn',
        event: 'signer_cannot_answer',
        fields: { detail: expect.stringContaining('VERIFIER_SIGNS=no') as string },
      },
    ])
  })

  test('a signer with another key than SIGNER_PUBLIC_KEY is none for this gateway', async () => {
    const channel = connect(buildSigner(), others.encryptionKey)
    await expect(channel.check()).resolves.toBeUndefined()
    expect(await findOutage(channel.checkSigner())).toEqual([
      'signer_unavailable',
      expect.stringContaining('SIGNER_PUBLIC_KEY'),
    ])
    expect(world.log.lines).toMatchObject([
      {
        event: 'signer_cannot_answer',
        fields: { detail: expect.stringContaining('SIGNER_PUBLIC_KEY') as string },
      },
    ])
  })

  test('nor is a signer whose store does not answer', async () => {
    world.store = () => Promise.reject(new Outage('token_store_unavailable', 'down'))
    expect((await findOutage(connect(buildSigner()).checkSigner()))[0]).toBe('token_store_unavailable')
  })

  test('a proof is one of this question: no other answer is believed for it', async () => {
    const signer = buildSigner()
    const channel = connect({
      ...signer,
      openAnswerKey: async (encrypted) => {
        const seal = await signer.openAnswerKey(encrypted)
        return typeof seal === 'function' ? () => seal('the nonce of another question') : seal
      },
    })
    expect(await findOutage(channel.checkSigner())).toEqual([
      'verifier_unavailable',
      expect.stringContaining('(encryption)'),
    ])
  })
})

test.each<[string, () => Signer | null, () => EncryptionKey]>([
  ['where nothing is signed', () => null, () => mine.encryptionKey],
  ['where the signer has another key', buildSigner, () => others.encryptionKey],
])('a credential is not used up in vain %s', async (_what, findSigner, findKey) => {
  const channel = connect(findSigner(), findKey())
  const asked = createRemoteVerifier({ channel, isSignedThere: true }).verify(CREDENTIAL, CLIENT)
  expect((await findOutage(asked))[0]).toBe('signer_unavailable')
  expect(world.verified).toBe(0)
})

test('a Slurm token that did not come encrypted is not believed', async () => {
  const signer = buildSigner()
  const channel = connect({
    ...signer,
    openAnswerKey: () => Promise.resolve((jwe) => Promise.resolve({ jwe, digest: hash('sha256', jwe) })),
  })
  const asked = createRemoteVerifier({ channel, isSignedThere: true }).verify(CREDENTIAL, CLIENT)
  expect(await findOutage(asked)).toEqual(['verifier_unavailable', expect.stringContaining('(encryption)')])
})
