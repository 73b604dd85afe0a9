/** SECURITY.md's runbook "A database password": its statements are run as they stand there. */

import { readFileSync } from 'node:fs'
import { expect } from 'vitest'
import type postgres from 'postgres'

/** All but the last, which drops it: it logs in no more, and its sessions end. */
export async function closeLogin(administrator: postgres.Sql, name: string): Promise<void> {
  const text = readFileSync(new URL('../../SECURITY.md', import.meta.url), 'utf8')
  const [, block = ''] = /\*\*A database password\.\*\*[^]*?```\n([^]*?)```/.exec(text) ?? []
  const statements = block
    .replaceAll(/\bgate\b/g, name)
    .trim()
    .split('\n')
  expect(statements.at(-1)?.trim()).toBe(`drop role ${name};`)
  expect(statements).toHaveLength(4)
  for (const statement of statements.slice(0, -1)) await administrator.unsafe(statement)
}
