/** `npm run up` in front of a Slurm that somebody else runs: it starts none, and says what it leaves out. */

import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createLogin } from '../../support/login-role.ts'
import { Program, runProgram } from '../../support/program.ts'
import { CLI_PATH, findFreePort } from '../../support/surroundings.ts'
import { ALICE, OWN_ACCOUNT, type RealCluster } from '../real-cluster.ts'

const UP = join(import.meta.dirname, '../../../dist/up.js')

export function describeGivenSlurm(requireCluster: () => RealCluster): void {
  test('its token examples answer from that Slurm, and the MUNGE ones are left out in words', async () => {
    const { slurm, databaseUrl } = requireCluster()
    const roles = ['slurmgate_migrator', 'slurmgate_issuer', 'slurmgate_gateway']
    await runProgram(process.execPath, [CLI_PATH, 'db', 'grants', '--apply'], {
      environment: { DATABASE_URL: databaseUrl },
    })
    // A superuser may not migrate what belongs to these roles.
    const login = await createLogin(databaseUrl, { memberOf: roles })
    const parameters = ['--once', '--user', ALICE.name, '--account', OWN_ACCOUNT]
    const up = new Program(process.execPath, [UP, ...parameters], {
      environment: {
        SLURMRESTD_URL: slurm.slurmrestdUrl,
        SLURM_JWT_HS256_KEY_FILE: slurm.hs256KeyFile,
        DATABASE_URL: login.url,
        PORT: String(await findFreePort()),
        VERIFIER_PORT: String(await findFreePort()),
      },
    })
    const exitCode = await up.exit
    expect([exitCode, up.stderr]).toEqual([0, ''])
    expect(up.stdout.match(/< HTTP \d+/g)).toEqual(['< HTTP 200', '< HTTP 200'])
    expect(up.stdout).toContain('left out: ')
    expect(up.stdout).not.toContain('debootstrap')
  })
}
