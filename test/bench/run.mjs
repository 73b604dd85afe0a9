/**
 * `npm run bench:munge`: bundles the bench and runs it; as root in namespaces of its own, like the tests, for then there is
 * an ordinary user. Parameters go on to the bench (`-- --memory`).
 */

import { buildSync } from 'esbuild'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { enclose, isEnclosed } from '../run/enclosure.mjs'

const code = isEnclosed() ? null : await enclose(process.argv.slice(1))
if (code !== null) process.exit(code)

const outfile = fileURLToPath(new URL('../../dist/bench/stand.js', import.meta.url))
buildSync({
  entryPoints: [fileURLToPath(new URL('stand.ts', import.meta.url))],
  outfile,
  bundle: true,
  packages: 'external',
  platform: 'node',
  target: 'node20.19',
  format: 'esm',
  logLevel: 'warning',
})
await import(pathToFileURL(outfile).href)
