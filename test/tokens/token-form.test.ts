import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { base64url, decodeJwt, decodeProtectedHeader, SignJWT } from 'jose'
import { isRefusal } from '../../src/refusal.ts'
import { buildChecksum, computeCrc32 } from '../../src/tokens/checksum.ts'
import {
  buildJwtToken,
  buildOpaqueToken,
  digestToken,
  isOpaqueToken,
  parsePresentedToken,
} from '../../src/tokens/token-form.ts'

const random = (length: number) => new Uint8Array(randomBytes(length))
const zeros = (length: number) => new Uint8Array(length)
const CHARACTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

const rule = (raw: string) => {
  const parsed = parsePresentedToken(raw)
  return isRefusal(parsed) ? parsed.rule : parsed.kind
}
const compact = (header: unknown, claims: unknown, last = 'c2ln') =>
  [base64url.encode(JSON.stringify(header)), base64url.encode(JSON.stringify(claims)), last].join('.')

describe('opaque tokens', () => {
  it('computes CRC-32 as RFC 1952 does', () => {
    expect(computeCrc32('123456789')).toBe(0xcbf43926)
    expect(computeCrc32('')).toBe(0)
  })

  it('pads the checksum to six characters', () => {
    expect(buildChecksum('')).toBe('000000')
    // 2^32 - 1 in base62, the largest there is
    expect(buildChecksum('\u00ff\u00ff\u00ff\u00ff')).toBe('4gfFC3')
  })

  it('has the published form and a fixed vector', () => {
    expect(buildOpaqueToken(zeros)).toBe(`slg_${'A'.repeat(43)}${buildChecksum(`slg_${'A'.repeat(43)}`)}`)
    for (let round = 0; round < 1_000; round++) {
      const token = buildOpaqueToken(random)
      expect(token).toMatch(/^slg_[A-Za-z0-9_-]{43}[0-9A-Za-z]{6}$/)
      expect(rule(token)).toBe('api-token')
    }
  })

  it('refuses any change of one character after the prefix, at every position, without a look-up', () => {
    const token = buildOpaqueToken(random)
    for (let position = 4; position < token.length; position++) {
      for (const character of CHARACTERS + '.~+/= \u0000é') {
        if (character === token[position]) continue
        const changed = token.slice(0, position) + character + token.slice(position + 1)
        expect(rule(changed), `${String(position)} ${character}`).toBe('token_malformed')
      }
    }
  })

  it('takes a changed prefix for another token, never for this one', async () => {
    const token = buildOpaqueToken(random)
    const digest = await digestToken(token)
    for (let position = 0; position < 4; position++) {
      for (const character of CHARACTERS) {
        if (character === token[position]) continue
        const changed = token.slice(0, position) + character + token.slice(position + 1)
        expect(isOpaqueToken(changed)).toBe(false)
        expect(await digestToken(changed)).not.toEqual(digest)
      }
    }
  })

  it.each([
    ['cut', (token: string) => token.slice(0, -1)],
    ['longer', (token: string) => token + 'A'],
    ['with a line end', (token: string) => token + '\n'],
    ['the prefix alone', () => 'slg_'],
    ['two joined', (token: string) => token + token],
    [
      'neighbours swapped',
      (token: string) => token.slice(0, 10) + swap(token.slice(10, 12)) + token.slice(12),
    ],
  ])('refuses a token that is %s', (_, change) => {
    const token = 'slg_' + 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG'
    const whole = token + buildChecksum(token)
    expect(rule(whole)).toBe('api-token')
    expect(rule(change(whole))).toBe('token_malformed')
  })

  it('never gives two tokens alike', () => {
    const tokens = Array.from({ length: 10_000 }, () => buildOpaqueToken(random))
    expect(new Set(tokens).size).toBe(tokens.length)
  })
})

const swap = (pair: string) => pair.charAt(1) + pair.charAt(0)

describe('tokens in JWT form', () => {
  const claims = { id: 'tok_aaaaaaaaaaaaaaaa', slurmUser: 'alice', issuedAt: 1_800_000_000 }

  it('tell a client that decodes them its user and their end', () => {
    const token = buildJwtToken({ ...claims, expiresAt: 1_900_000_000 }, random)
    expect(decodeJwt(token)).toMatchObject({
      sun: 'alice',
      exp: 1_900_000_000,
      iss: 'slurmgate',
      jti: claims.id,
    })
    expect(decodeProtectedHeader(token)).toEqual({ alg: 'HS256', typ: 'slurmgate+jwt' })
    expect(rule(token)).toBe('api-token')
  })

  it('have no exp when they never end', () => {
    expect(decodeJwt(buildJwtToken({ ...claims, expiresAt: null }, random))).not.toHaveProperty('exp')
  })

  it('end in 256 random bits', () => {
    const [, , secret = ''] = buildJwtToken({ ...claims, expiresAt: null }, random).split('.')
    expect(base64url.decode(secret)).toHaveLength(32)
  })

  it('are digested whole, so that a changed claim is another token', async () => {
    const token = buildJwtToken({ ...claims, expiresAt: null }, zeros)
    const forged = buildJwtToken({ ...claims, slurmUser: 'root', expiresAt: null }, zeros)
    expect(await digestToken(forged)).not.toEqual(await digestToken(token))
  })

  it.each([
    [
      'our typ without our iss',
      compact({ alg: 'HS256', typ: 'slurmgate+jwt' }, { sun: 'a' }, 'A'.repeat(43)),
    ],
    [
      'our typ with a short secret',
      compact({ alg: 'HS256', typ: 'slurmgate+jwt' }, { iss: 'slurmgate', sun: 'a' }),
    ],
  ])('are refused with %s', (_, token) => {
    expect(rule(token)).toBe('token_malformed')
  })
})

describe('Slurm JWTs', () => {
  it('are told apart by their user claim and refused by name (slurm.schedmd.com/jwt.html)', async () => {
    const genuine = await new SignJWT({ sun: 'alice' })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setExpirationTime('1h')
      .sign(new Uint8Array(32))
    expect(rule(genuine)).toBe('slurm_token_presented')
    // As `scontrol token` prints it.
    expect(rule(`SLURM_JWT=${genuine}`)).toBe('slurm_token_presented')
    expect(rule(compact({ alg: 'RS256', kid: 'k' }, { username: 'alice' }))).toBe('slurm_token_presented')
    expect(rule(compact({ alg: 'none' }, { sun: 'alice' }, ''))).toBe('slurm_token_presented')
    expect(rule(compact({ alg: 'HS256' }, { sun: 'alice', iss: 'slurmgate' }))).toBe('slurm_token_presented')
  })

  it('are recognised above the length of an imported token too', () => {
    expect(rule(compact({ alg: 'RS256' }, { sun: 'alice' }, 'A'.repeat(5_000)))).toBe('slurm_token_presented')
  })
})

describe('imported tokens', () => {
  it.each([
    ['32 characters', 'a'.repeat(32), 'api-token'],
    ['4096 characters', 'a'.repeat(4096), 'api-token'],
    ['all of b64token', 'AZaz09-._~+/AZaz09-._~+/AZaz09-._~+/==', 'api-token'],
    ['a foreign JWT without a Slurm user', compact({ alg: 'HS256' }, { sub: 'alice' }), 'api-token'],
    ['31 characters', 'a'.repeat(31), 'token_malformed'],
    ['4097 characters', 'a'.repeat(4097), 'token_malformed'],
    ['more than any credential', 'a'.repeat(100_000), 'token_malformed'],
    ['the example that manuals print', 'abc123-your-token-here', 'token_malformed'],
    ['nothing', '', 'token_malformed'],
    ['= alone', '='.repeat(40), 'token_malformed'],
    ['= in the middle', `${'a'.repeat(20)}=${'a'.repeat(20)}`, 'token_malformed'],
    ['a blank', `${'a'.repeat(20)} ${'a'.repeat(20)}`, 'token_malformed'],
    ['a line end', `${'a'.repeat(40)}\n`, 'token_malformed'],
    ['a comma, as joined headers have', `${'a'.repeat(40)},${'a'.repeat(40)}`, 'token_malformed'],
    ['letters that are not ASCII', 'é'.repeat(40), 'token_malformed'],
  ])('with %s', (_, token, expected) => {
    expect(rule(token)).toBe(expected)
  })

  it('that look like broken JWTs are only strings', () => {
    for (const token of ['a.b.c', `${'a'.repeat(40)}.${'b'.repeat(40)}.c`, compact('text', { sun: 'a' })]) {
      expect(['api-token', 'token_malformed']).toContain(rule(token))
    }
    expect(rule(compact({ alg: 'HS256' }, [{ sun: 'alice' }]))).toBe('api-token')
  })
})

it('digests with SHA-256 (FIPS 180-4 example)', async () => {
  const hex = Array.from(await digestToken('abc'), (byte) => byte.toString(16).padStart(2, '0')).join('')
  expect(hex).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
})

it('a MUNGE credential in place of a token is told how it is sent', () => {
  const refusal = parsePresentedToken('MUNGE:AwQDAAA=:')
  expect(refusal).toMatchObject({ rule: 'token_malformed' })
  expect(refusal).toHaveProperty('description', expect.stringContaining('Authorization: MUNGE'))
})
