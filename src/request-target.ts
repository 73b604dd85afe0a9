/** The request target as text: what a credential is bound to, and what the gate matches, are the same string. */

/**
 * Path and query of a target or URL, untouched. The absolute form (RFC 9112 section 3.2.2) says the same as the origin
 * form, and proxies turn the one into the other: its scheme and authority do not count. What has no path (`*`) gets a
 * slash in front, and is no path of ours.
 */
export function readOriginForm(target: string): string {
  const path = target.replace(/^https?:\/\/[^/?#]*/i, '')
  return path.startsWith('/') ? path : `/${path}`
}

/** A backslash is escaped: URL parsers take it for a slash. */
export function escapeBackslashes(target: string): string {
  return target.replaceAll('\\', '%5C')
}

/** Path and query, as a URL parser has them. */
export interface ParsedTarget {
  readonly pathname: string
  /** With its question mark; empty where there is none, or nothing behind it. */
  readonly search: string
}

/**
 * Dot segments are resolved, which every runtime's parser does the same way; what it yields is matched, never forwarded.
 * @param target of `readOriginForm`: the host name of the request has no say, so it can add nothing to the path.
 */
export function parseTarget(target: string): ParsedTarget {
  const mark = target.indexOf('?')
  const pathname = mark === -1 ? target : target.slice(0, mark)
  const search = mark === -1 ? '' : target.slice(mark)
  if (!PLAIN_PATH.test(pathname) || pathname.includes('/.') || !PLAIN_SEARCH.test(search))
    return new URL(`http://gate.invalid${escapeBackslashes(target)}`)
  return { pathname, search: search === '?' ? '' : search }
}

/** Nothing is escaped: where no dot begins a segment either, a URL parser changes nothing. */
const PLAIN_PATH = /^\/[\w.~/-]*$/
const PLAIN_SEARCH = /^[\w.~%&=+:,?/-]*$/
