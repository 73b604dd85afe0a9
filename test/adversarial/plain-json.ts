/**
 * A JSON reader of the tests' own that takes only what every parser reads alike: RFC 8259, no key twice (nor in another
 * case, for 22.05 folds it), no NUL, nothing behind the document.
 */

export type PlainJson = string | number | boolean | null | PlainJson[] | { readonly [key: string]: PlainJson }

/** @returns undefined where parsers could differ. */
export function parseOnce(text: string): PlainJson | undefined {
  try {
    const parsed = JSON.parse(text) as PlainJson
    return hasDoubtfulKeys(text) ? undefined : parsed
  } catch {
    return undefined
  }
}

/** @param text valid JSON: its tokens are all that has to be looked at. */
function hasDoubtfulKeys(text: string): boolean {
  const open: (Set<string> | null)[] = []
  const tokens = /"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s"{}[\]:,]+/g
  let lastString: string | null = null
  for (const [token] of text.matchAll(tokens)) {
    if (token.startsWith('"')) {
      lastString = JSON.parse(token) as string
      if (lastString.includes('\0')) return true
      continue
    }
    if (token === '{') open.push(new Set())
    else if (token === '[') open.push(null)
    else if (token === '}' || token === ']') open.pop()
    else if (token === ':') {
      const keys = open.at(-1)
      const key = lastString?.toLowerCase() ?? ''
      if (!keys || keys.has(key)) return true
      keys.add(key)
    }
  }
  return false
}
