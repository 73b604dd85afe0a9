/** Finds the Debian mirror that this host's own apt uses, so that nothing is fetched from where the operator does not want it. */
import { readdir, readFile } from 'node:fs/promises'

const fallbackMirror = 'http://deb.debian.org/debian'
const sourcesDir = '/etc/apt/sources.list.d'

/** The first Debian main archive in apt's sources; on Ubuntu and the like, whose own archive has no Debian, the public one. */
export async function findDebianMirror(): Promise<string> {
  const names = await readdir(sourcesDir).catch(() => [])
  const paths = ['/etc/apt/sources.list', ...names.sort().map((name) => `${sourcesDir}/${name}`)]
  for (const path of paths) {
    const text = await readFile(path, 'utf8').catch(() => '')
    const mirror = findMainArchive(path.endsWith('.sources') ? readDeb822(text) : readOneLine(text))
    if (mirror !== null) return mirror
  }
  return fallbackMirror
}

interface AptSource {
  uri: string
  suites: string[]
  components: string[]
}

/** Debian's main archive is told by its path: mirrors keep `/debian`, security archives and other vendors' do not. */
function findMainArchive(sources: AptSource[]): string | null {
  const main = sources.find(
    ({ uri, components }) => /^https?:\/\/.+\/debian\/?$/.test(uri) && components.includes('main'),
  )
  return main ? main.uri.replace(/\/$/, '') : null
}

/** sources.list(5), ONE-LINE-STYLE FORMAT: `deb [options] uri suite component…` */
function readOneLine(text: string): AptSource[] {
  return text.split('\n').flatMap((line) => {
    const words = line.trim().split(/\s+/)
    const optionsEnd = words[1]?.startsWith('[') === true ? words.findIndex((word) => word.endsWith(']')) : 0
    const [uri, suite, ...components] = words.slice(optionsEnd + 1)
    if (words[0] !== 'deb' || optionsEnd === -1 || suite === undefined || uri === undefined) return []
    if (components.length === 0) return []
    return [{ uri, suites: [suite], components }]
  })
}

/** sources.list(5), DEB822-STYLE FORMAT: paragraphs of `Field: value…`; a line that begins with a blank continues one. */
function readDeb822(text: string): AptSource[] {
  const withoutComments = text.replace(/^#.*\n?/gm, '')
  return withoutComments.split(/\n\s*\n/).flatMap((paragraph) => {
    const fields = new Map<string, string[]>()
    for (const line of paragraph.replace(/\n[ \t]+/g, ' ').split('\n')) {
      const separator = line.indexOf(':')
      if (separator < 0) continue
      fields.set(
        line.slice(0, separator).trim().toLowerCase(),
        line
          .slice(separator + 1)
          .trim()
          .split(/\s+/),
      )
    }
    if (fields.get('enabled')?.[0] === 'no' || !fields.get('types')?.includes('deb')) return []
    const suites = fields.get('suites') ?? []
    const components = fields.get('components') ?? []
    return (fields.get('uris') ?? []).map((uri) => ({ uri, suites, components }))
  })
}
