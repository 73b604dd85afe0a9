/**
 * What the bench needs and an ordinary user cannot make: the user, Postgres, and its programs where that user can read
 * them. Then runs the bench as that user.
 */

import { spawn } from 'node:child_process'
import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildProgram } from '../support/build-program.ts'
import { stopOwnPostgres } from '../support/postgres.ts'
import { requireTestUsers } from '../support/test-user.ts'
import { createTokenDatabase } from '../support/token-database.ts'

const PROGRAMS = {
  bench: "import { runBench } from './test/bench/munge-bench.ts'\nvoid runBench(process.argv.slice(2))",
  verifier: "import { runMeasuredVerifier } from './test/bench/measured-verifier.ts'\nrunMeasuredVerifier()",
}

const { uid } = requireTestUsers().ordinary
const directory = mkdtempSync(join(tmpdir(), 'slurmgate-bench-'))
chmodSync(directory, 0o755)
try {
  for (const [name, entry] of Object.entries(PROGRAMS)) buildProgram(entry, join(directory, `${name}.cjs`))
  if (process.getuid?.() === 0) chownSync(directory, uid, uid)
  const { url, sql } = await createTokenDatabase()
  await sql.end()
  process.exitCode = await runAsOrdinaryUser(url)
} finally {
  await stopOwnPostgres()
  rmSync(directory, { recursive: true, force: true })
}

function runAsOrdinaryUser(databaseUrl: string): Promise<number> {
  const child = spawn(
    process.execPath,
    ['--expose-gc', join(directory, 'bench.cjs'), ...process.argv.slice(2)],
    {
      ...(process.getuid?.() === 0 && { uid, gid: uid }),
      cwd: directory,
      env: { PATH: process.env['PATH'], DATABASE_URL: databaseUrl },
      stdio: 'inherit',
    },
  )
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
  return new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)))
}
