/** Slurm's own JWTs (auth/jwt, HS256), made and checked independently of the code under test. */

import { createHmac, timingSafeEqual } from 'node:crypto'

export interface SlurmJwtClaims {
  readonly sun: string
  readonly iat: number
  readonly exp: number
}

export function signSlurmJwt(key: Uint8Array, claims: Partial<SlurmJwtClaims>): string {
  const signed = [{ alg: 'HS256', typ: 'JWT' }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  return `${signed}.${sign(key, signed)}`
}

/** @returns null unless the signature is the key's, `exp` lies ahead and `sun` names a user. */
export function verifySlurmJwt(token: string, key: Uint8Array): SlurmJwtClaims | null {
  const [head = '', body = '', signature = ''] = token.split('.')
  const expected = Buffer.from(sign(key, `${head}.${body}`))
  const given = Buffer.from(signature)
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString('utf8')) as Partial<SlurmJwtClaims>
  const { sun, exp, iat } = claims
  if (typeof sun !== 'string' || typeof exp !== 'number' || !Number.isInteger(exp)) return null
  return exp > Date.now() / 1000 ? { sun, exp, iat: iat ?? Number.NaN } : null
}

function sign(key: Uint8Array, signed: string): string {
  return createHmac('sha256', key).update(signed).digest('base64url')
}
