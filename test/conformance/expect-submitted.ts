/** A small submission, and what has to reach slurmrestd of one, whatever it was sent in. */

import { expect } from 'vitest'
import type { Bench, SendOptions } from './bench.ts'
import { expectForwarded, readSent } from './expect-answer.ts'

export const SUBMIT = '/slurm/v0.0.42/job/submit'
export const SMALL = '{"script":"#!/bin/sh\\ntrue","job":{"name":"n"}}'

/** As a token and as a MUNGE caller, whose bytes go upstream as they are. */
export async function expectSubmitted(bench: Bench, request: SendOptions, body = SMALL): Promise<void> {
  const byToken = expectForwarded(bench, await bench.sendAs('confined', request))
  expect(readSent(byToken, 'content-length')).toBe(String(byToken.body.length))
  expect(readSent(byToken, 'content-type')).toBe('application/json')
  bench.reset()
  const byMunge = expectForwarded(bench, await bench.sendAsMunge(request))
  expect(byMunge.body.equals(Buffer.from(body))).toBe(true)
  for (const sent of [byToken, byMunge]) {
    for (const name of ['transfer-encoding', 'expect', 'content-encoding'])
      expect(readSent(sent, name)).toBeNull()
  }
}
