/**
 * The host map: which other addresses the requests of a host come from, where strict equality does not fit (several
 * interfaces, NAT, IPv6). Parsed as a whole or not at all.
 */

import type { AddressRange } from '../ip-address.ts'
import { HOST_MAP_MAX_LINES, HOST_MAP_PROBLEMS_TOLD } from '../limits.ts'
import { parseHostLine, type HostLine } from './host-map-line.ts'

export interface HostMap {
  readonly hosts: number
  /** Hosts whose line has the word `shared`. */
  readonly sharedHosts: number
  /** @param origin as munged decoded it @param client canonical. Neither is ever loopback. */
  has(origin: string, client: string): boolean
}

/**
 * One host a line: `ORIGIN [shared] CLIENT…`, `#` begins a comment.
 * @returns the map, or what is wrong, each with its line.
 */
export function parseHostMap(text: string): HostMap | { readonly problems: readonly string[] } {
  const texts = text.split('\n')
  // What follows the last line end is no line.
  if (texts.at(-1) === '') texts.pop()
  if (texts.length > HOST_MAP_MAX_LINES) return { problems: [`has more than ${HOST_MAP_MAX_LINES} lines`] }
  const problems: string[] = []
  const lines = texts.flatMap((line, index) => parseHostLine(line, index + 1, problems) ?? [])
  findDuplicates(lines, problems)
  findOverlaps(lines, problems)
  // Also what is left of a file while it is being written.
  if (lines.length === 0 && problems.length === 0) problems.push('names no host')
  return problems.length === 0 ? buildMap(lines) : { problems: shorten(problems) }
}

function buildMap(lines: readonly HostLine[]): HostMap {
  const byOrigin = new Map(lines.map(({ origin, clients }) => [origin, clients]))
  return {
    hosts: lines.length,
    sharedHosts: lines.filter(({ isShared }) => isShared).length,
    has: (origin, client) => byOrigin.get(origin)?.some((range) => range.contains(client)) ?? false,
  }
}

function findDuplicates(lines: readonly HostLine[], problems: string[]): void {
  const seen = new Map<string, number>()
  for (const { origin, lineNumber } of lines) {
    const first = seen.get(origin)
    if (first === undefined) seen.set(origin, lineNumber)
    else problems.push(`line ${lineNumber}: the origin stands in line ${first} already`)
  }
}

interface Claim {
  readonly line: HostLine
  readonly range: AddressRange
}

/**
 * An address that stands for two hosts lets each of them use what was made on the other. An origin counts among its
 * host's addresses: strict equality stays valid.
 *
 * Ranges nest or are disjoint, so in order each one needs to be compared with the innermost around it only.
 */
function findOverlaps(lines: readonly HostLine[], problems: string[]): void {
  const claims = lines.flatMap((line) =>
    [line.originRange, ...line.clients].map((range) => ({ line, range })),
  )
  claims.sort(compareClaims)
  const around: Claim[] = []
  const found = new Map<string, readonly [later: number, earlier: number]>()
  for (const { line, range } of claims) {
    while (around.length > 0 && around.at(-1)?.range.covers(range) === false) around.pop()
    const outer = around.at(-1)?.line
    if (outer !== undefined && isConflict(outer, line)) {
      const pair = [outer.lineNumber, line.lineNumber].sort((a, b) => b - a) as [number, number]
      found.set(pair.join(), pair)
    }
    around.push({ line, range })
  }
  for (const [later, earlier] of [...found.values()].sort(([a], [b]) => a - b)) {
    problems.push(
      `line ${later}: has an address of the host in line ${earlier}; where both are behind one address (NAT), each needs the word shared`,
    )
  }
}

/** Wider ranges before those within them. */
function compareClaims({ range: a }: Claim, { range: b }: Claim): number {
  if (a.family !== b.family) return a.family - b.family
  if (a.start !== b.start) return a.start < b.start ? -1 : 1
  return a.prefix - b.prefix
}

/** Two lines of one origin are a duplicate already. */
function isConflict(a: HostLine, b: HostLine): boolean {
  return a.origin !== b.origin && !(a.isShared && b.isShared)
}

function shorten(problems: readonly string[]): readonly string[] {
  if (problems.length <= HOST_MAP_PROBLEMS_TOLD) return problems
  const left = problems.length - HOST_MAP_PROBLEMS_TOLD
  return [...problems.slice(0, HOST_MAP_PROBLEMS_TOLD), `and ${left} more`]
}
