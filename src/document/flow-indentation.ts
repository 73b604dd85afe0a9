/**
 * Moves the lines of `[…]`, `{…}`, `"…"` and `'…'` over several lines to the right of where they began. libyaml takes
 * them at any column; js-yaml refuses what stands no deeper than the key, such as a closing bracket under it. Text only:
 * it judges nothing, and what it gets wrong is judged, and sent, as js-yaml then reads it.
 */

/** Deeper than any real document's lines; more would let a short text grow without bound. */
const COLUMN_MAX = 100

/** @returns the same text where there is nothing to move. */
export function indentFlowLines(text: string): string {
  const lines = text.split('\n')
  const flow: Flow = { depth: 0, quote: null, column: 0 }
  let literalBelow: number | null = null
  const moved = lines.map((line) => {
    const blanks = countBlanks(line)
    const isEmpty = blanks === line.length
    if (literalBelow !== null) {
      if (isEmpty || blanks > literalBelow) return line
      literalBelow = null
    }
    const { column } = flow
    const isInside = isWithin(flow)
    scanLine(line, flow)
    if (!isInside && !isWithin(flow) && LITERAL_HEAD.test(line)) literalBelow = blanks
    return isInside && !isEmpty ? `${' '.repeat(column)}${line}` : line
  })
  return moved.join('\n')
}

interface Flow {
  depth: number
  quote: '"' | "'" | null
  /** Where the next line of it may begin. */
  column: number
}

function isWithin({ depth, quote }: Flow): boolean {
  return depth > 0 || quote !== null
}

/** The head of a block scalar, at the end of a line: what follows deeper is its content. */
const LITERAL_HEAD = /(?:^|[ \t])[|>][-+0-9]{0,2}\r?$/

const OPENING: ReadonlySet<string> = new Set(['[', '{', '"', "'"])

function scanLine(line: string, flow: Flow): void {
  for (let at = 0; at < line.length; at += 1) {
    const character = line[at] ?? ''
    const before = at === 0 ? ' ' : (line[at - 1] ?? '')
    if (flow.quote !== null) {
      if (character === '\\' && flow.quote === '"') at += 1
      else if (character === flow.quote) flow.quote = null
    } else if (character === '#' && isBlank(before)) return
    else if (OPENING.has(character) && beginsValue(before, flow)) {
      if (flow.depth === 0) flow.column = Math.min(at + 1, COLUMN_MAX)
      if (character === '"' || character === "'") flow.quote = character
      else flow.depth += 1
    } else if ((character === ']' || character === '}') && flow.depth > 0) flow.depth -= 1
  }
}

/** In a flow collection every bracket counts; elsewhere only where a value begins. */
function beginsValue(before: string, { depth }: Flow): boolean {
  return isBlank(before) || (depth > 0 && ',[{:]}'.includes(before))
}

function isBlank(character: string): boolean {
  return character === ' ' || character === '\t' || character === '\r'
}

function countBlanks(line: string): number {
  let count = 0
  while (line[count] === ' ') count += 1
  return count
}
