/** The CLI with all its packages in one folder, for users who may not read the repository. */

import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

/** Packages of CommonJS load Node's own modules with `require`. */
const REQUIRE = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"

/** As `npm run build` builds it, but for the packages. @returns the path of the program in `folder`. */
export async function buildStandaloneCli(folder: string): Promise<string> {
  await build({
    entryPoints: [fileURLToPath(new URL('../../functions/cli.ts', import.meta.url))],
    outdir: join(folder, 'dist'),
    bundle: true,
    splitting: true,
    platform: 'node',
    target: 'node20.19',
    format: 'esm',
    // jsonc-parser's other form loads its files at run time.
    mainFields: ['module', 'main'],
    banner: { js: REQUIRE },
    logLevel: 'warning',
  })
  return join(folder, 'dist', 'cli.js')
}
