/** The fake keeps the contract of the real daemon; only then do the tests that lean on it mean anything. */

import { afterAll, beforeAll } from 'vitest'
import { FakeMunged } from '../support/fake-munged.ts'
import { testMungedContract } from './munged-contract.ts'

const fake = new FakeMunged()
beforeAll(() => fake.start())
afterAll(() => fake.remove())

testMungedContract({
  socketPath: () => fake.socketPath,
  originAddress: '127.0.0.1',
  start: () => fake.start(),
  stop: () => fake.stop(),
})
