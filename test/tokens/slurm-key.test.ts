/** `slurmgate slurm-key`: the file is what a gateway takes, what is printed is what Slurm reads, and nothing private. */

import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLocalJWKSet, jwtVerify, type JSONWebKeySet } from 'jose'
import { afterAll, expect, it } from 'vitest'
import { readKeyFile } from '../../functions/node/key-file.ts'
import { readSlurmKey } from '../../src/slurm-key-settings.ts'
import { createSlurmTokenMinter } from '../../src/slurm-token.ts'
import { runCli } from '../support/cli.ts'

const folder = mkdtempSync(join(tmpdir(), 'slurmgate-slurm-key-'))
afterAll(() => rmSync(folder, { recursive: true }))

const parseSet = (text: string) => JSON.parse(text) as JSONWebKeySet

it('makes a key that a gateway signs with, and a set that tells its tokens from others', async () => {
  const file = join(folder, 'first.jwk')
  const { exitCode, stdout, stderr } = await runCli(['slurm-key', 'new', file])
  expect([exitCode, statSync(file).mode & 0o777]).toEqual([0, 0o600])
  const { keys } = parseSet(stdout)
  expect(keys.map((key) => Object.keys(key))).toEqual([['kty', 'alg', 'kid', 'n', 'e']])
  const { d = '' } = JSON.parse(readFileSync(file, 'utf8')) as { d?: string }
  expect(d).not.toBe('')
  expect(stdout + stderr).not.toContain(d)

  const key = readSlurmKey({ env: { SLURM_JWT_RS256_JWK_FILE: file }, readKeyFile }, [])
  if (key === null) throw new Error('a gateway does not take it')
  const minter = createSlurmTokenMinter({ key, lifespanSeconds: 60, deniedUsers: new Set(), now: Date.now })
  const { token } = await minter.mint('alice')
  const { payload } = await jwtVerify(token, createLocalJWKSet(parseSet(stdout)))
  expect(payload['sun']).toBe('alice')

  const again = await runCli(['slurm-key', 'new', file])
  expect([again.exitCode, again.stdout]).toEqual([1, ''])
  expect(again.stderr).toContain('cannot be made (EEXIST)')
})

it('prints its public half beside the keys that Slurm has, each once', async () => {
  const [first, second] = ['one.jwk', 'two.jwk'].map((name) => join(folder, name))
  const made = await runCli(['slurm-key', 'new', String(first)])
  await runCli(['slurm-key', 'new', String(second)])
  const jwks = join(folder, 'jwks.json')
  writeFileSync(jwks, made.stdout)
  const both = await runCli(['slurm-key', 'public', String(second), '--beside', jwks])
  const kids = parseSet(both.stdout).keys.map(({ kid }) => kid)
  const alone = parseSet((await runCli(['slurm-key', 'public', String(second)])).stdout)
  expect(kids).toEqual([alone.keys[0]?.kid, parseSet(made.stdout).keys[0]?.kid])
  expect(both.stdout).not.toContain('"d"')
  writeFileSync(jwks, both.stdout)
  const twice = await runCli(['slurm-key', 'public', String(second), '--beside', jwks])
  expect(twice.stdout).toBe(both.stdout)
})

it.each([
  ['no file', null],
  ['no JSON', 'RSA'],
  ['another kind of key', '{"kty":"oct","kid":"a","k":"secret"}'],
  ['a key without a kid', '{"kty":"RSA","n":"secret","e":"AQAB"}'],
])('%s is refused without a word of it', async (name, text) => {
  const file = join(folder, name)
  if (text !== null) writeFileSync(file, text)
  const { exitCode, stdout, stderr } = await runCli(['slurm-key', 'public', file])
  expect([exitCode, stdout]).toEqual([1, ''])
  expect(stderr).toMatch(
    /^slurmgate: .* (cannot be read as JSON|must have RSA keys as JSON Web Keys, each with a kid)\n$/,
  )
  expect(stderr).not.toContain('secret')
})
