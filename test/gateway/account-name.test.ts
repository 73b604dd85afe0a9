/** facts/slurm.md 6: account names compare lower-cased, as C does it. */

import { expect, it } from 'vitest'
import { foldAccount, isSameAccount } from '../../src/account-name.ts'

it.each([
  ['OwnerLab', 'ownerlab'],
  ['A-Z_09.Z', 'a-z_09.z'],
  ['\u212aLAB', '\u212alab'],
  ['\u0130LAB', '\u0130lab'],
  ['\u212bLAB', '\u212blab'],
])('%s is %s: ASCII letters and no others have a lower case', (name, folded) => {
  expect(foldAccount(name)).toBe(folded)
})

it('the same account is text that folds to it', () => {
  expect(isSameAccount('OWN', 'own')).toBe(true)
  for (const found of ['own ', 'ow', '', null, undefined, ['own'], 7])
    expect(isSameAccount(found, 'own')).toBe(false)
  expect(isSameAccount('\u212alab', 'klab')).toBe(false)
})
