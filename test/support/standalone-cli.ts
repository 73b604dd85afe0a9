/** The CLI with all its packages in one folder that every user may read, wherever the repository lies. */

import { chmodSync, mkdirSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

/** Packages of CommonJS load Node's own modules with `require`. */
const REQUIRE = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"

let folder: Promise<string> | null = null

/** @returns the path of the program; built once, as `npm run build` builds it but for the packages. */
export async function buildStandaloneCli(): Promise<string> {
  return join(await (folder ??= buildFolder()), 'dist', 'cli.js')
}

async function buildFolder(): Promise<string> {
  const path = mkdtempSync(join(tmpdir(), 'slurmgate-standalone-'))
  mkdirSync(join(path, 'dist'))
  chmodSync(path, 0o755)
  await build({
    entryPoints: [fileURLToPath(new URL('../../functions/cli.ts', import.meta.url))],
    outdir: join(path, 'dist'),
    outExtension: { '.js': '.js' },
    bundle: true,
    splitting: true,
    platform: 'node',
    target: 'node20.19',
    format: 'esm',
    banner: { js: REQUIRE },
    logLevel: 'warning',
  })
  return path
}
