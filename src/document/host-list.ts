/** Counts what a host list such as `n[0-9,12],login` would expand to, without expanding it. */

/**
 * What is not a host list counts as few: Slurm refuses that itself. Infinity: more than can be counted.
 * A comma, a blank, a tab or a line end separates hosts (measured on `scontrol show hostnames` of 24.11).
 */
export function countHosts(text: string): number {
  let count = 0
  let product = 1
  let start = 0
  let isInBrackets = false
  for (let index = 0; index <= text.length; index += 1) {
    const character = text[index]
    if (isInBrackets) {
      if (character !== ']') continue
      product *= countRanges(text.slice(start, index))
      isInBrackets = false
    } else if (character === '[') {
      isInBrackets = true
      start = index + 1
    } else if (character === undefined || SEPARATORS.has(character)) {
      count += product
      product = 1
    }
  }
  return isInBrackets ? count + product : count
}

const SEPARATORS: ReadonlySet<string> = new Set([',', ' ', '\t', '\n', '\r'])

/** Beyond what any number here may have: two of 309 digits are both Infinity, and their difference is no number. */
const RANGE_DIGITS_MAX = 9

function countRanges(ranges: string): number {
  let count = 0
  for (const range of ranges.split(',')) {
    const [, first = '', last = ''] = /^(\d+)-(\d+)$/.exec(range.trim()) ?? []
    if (Math.max(first.length, last.length) > RANGE_DIGITS_MAX) return Infinity
    count += first === '' ? 1 : Math.max(1, Number(last) - Number(first) + 1)
  }
  return count
}
