/** Counts what a host list such as `n[0-9,12],login` would expand to, without expanding it. */

/** Fields that slurmrestd or slurmctld expands host lists in. */
export const HOST_KEYS: ReadonlySet<string> = new Set([
  ...[
    'required_nodes',
    'excluded_nodes',
    'node_list',
    'nodes',
    'hostlist',
    'hostnames',
    'hostname',
    'address',
  ],
  ...['name', 'alternate', 'allocation_node_list', 'node_conf', 'configured', 'node_sets'],
])

/** What is not a host list counts as few: Slurm refuses that itself. */
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
    } else if (character === ',' || character === undefined) {
      count += product
      product = 1
    }
  }
  return count
}

function countRanges(ranges: string): number {
  let count = 0
  for (const range of ranges.split(',')) {
    const ends = /^(\d+)-(\d+)$/.exec(range)
    count += ends === null ? 1 : Math.max(1, Number(ends[2]) - Number(ends[1]) + 1)
  }
  return count
}
