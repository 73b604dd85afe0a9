/** Reads the flags and the environment of `npm run up`, once. */
import { parseArgs } from 'node:util'
import type { Suite } from './base-root.ts'

export interface UpSettings {
  /** Run everything once and end, instead of staying up. */
  isOnce: boolean
  usesHostMunge: boolean
  isBesideSlurm: boolean
  isHelp: boolean
  /** Only install the Debian packages that are missing, for the tests too. */
  isPackagesOnly: boolean
  demoUser: string
  /** Whom the demo token acts as, and in which account. */
  serviceUser: string
  account: string
  gatewayPort: number
  verifierPort: number
  cacheDir: string
  suite: Suite
  /** An existing Slurm; null brings one up. */
  slurmrestdUrl: string | null
  /** The one SLURM_JWT_… setting of an existing Slurm. */
  slurmKey: Record<string, string>
  databaseUrl: string | null
  mungeSocket: string | null
}

export const usage = `npm run up                        bring everything up, run the published examples, stay up until Ctrl-C
npm run up -- --once              the same, then end: exit code 0 when all of it worked
npm run up -- --use-munged        use this host's own munged or munge.key
npm run up -- --beside-slurm      bring a cluster up although this host has a Slurm
npm run up -- --packages          only install the Debian packages that it and the tests need
npm run up -- --user U --account A   whom the demo token acts as (with SLURMRESTD_URL: required)

With SLURMRESTD_URL and one of SLURM_JWT_HS256_KEY_FILE, SLURM_JWT_RS256_JWK_FILE, … it uses that Slurm and brings none up;
UP_DEMO_USER names the user for the MUNGE examples. DATABASE_URL, PORT and VERIFIER_PORT are used where set.`

const keyNames = [
  'SLURM_JWT_HS256_KEY_FILE',
  'SLURM_JWT_HS256_KEY',
  'SLURM_JWT_RS256_JWK_FILE',
  'SLURM_JWT_RS256_JWK',
] as const

const flags = {
  once: { type: 'boolean', default: false },
  'use-munged': { type: 'boolean', default: false },
  'beside-slurm': { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
  packages: { type: 'boolean', default: false },
  user: { type: 'string' },
  account: { type: 'string' },
} as const

/** Returns the settings, or what is wrong with them. */
export function parseUpSettings(args: string[], env: NodeJS.ProcessEnv): UpSettings | { problems: string[] } {
  let values
  try {
    values = parseArgs({ args, options: flags }).values
  } catch (error) {
    return { problems: [error instanceof Error ? error.message : String(error)] }
  }
  const slurmrestdUrl = env['SLURMRESTD_URL'] || null
  const slurmKey = Object.fromEntries(keyNames.flatMap((name) => (env[name] ? [[name, env[name]]] : [])))
  const problems: string[] = []
  if (slurmrestdUrl !== null) {
    const keyCount = Object.keys(slurmKey).length
    if (keyCount !== 1) problems.push(`exactly one of ${keyNames.join(', ')} (found ${keyCount})`)
    if (!values.user) problems.push('--user: the Slurm user the demo token acts as')
    if (!values.account) problems.push("--account: one of that user's accounts")
  }
  const gatewayPort = Number(env['PORT'] ?? 8080)
  const verifierPort = Number(env['VERIFIER_PORT'] ?? 8081)
  if (!isPort(gatewayPort)) problems.push('PORT: a number from 1 to 65535')
  if (!isPort(verifierPort)) problems.push('VERIFIER_PORT: a number from 1 to 65535')
  if (problems.length > 0) return { problems }
  return {
    isOnce: values.once,
    usesHostMunge: values['use-munged'],
    isBesideSlurm: values['beside-slurm'],
    isHelp: values.help,
    isPackagesOnly: values.packages,
    demoUser: env['UP_DEMO_USER'] || 'demo',
    serviceUser: values.user ?? 'svcapi',
    account: values.account ?? 'ownerlab',
    gatewayPort,
    verifierPort,
    cacheDir: env['SLURMGATE_CACHE'] ?? '/var/cache/slurmgate',
    suite: 'trixie',
    slurmrestdUrl,
    slurmKey,
    databaseUrl: env['DATABASE_URL'] || null,
    mungeSocket: env['MUNGE_SOCKET'] || null,
  }
}

function isPort(value: number): boolean {
  return Number.isInteger(value) && value > 0 && value < 65536
}
