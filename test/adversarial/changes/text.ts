/** The document's text, where parsers read the same bytes differently: duplicate keys, comments, encodings, loose ends. */

import fc from 'fast-check'
import { ENCODINGS } from '../hostile-request.ts'
import { changeText, type Change } from './change.ts'

/** Pairs of a text and what takes its place, once. */
const REPLACEMENTS: readonly (readonly [string | RegExp, string])[] = [
  ['"account":', '"account":"otherlab","account":'],
  ['"account":', '"acc\\u006funt":'],
  ['"account":', '"Account":'],
  ['"account":"ownerlab"', '"account":"ownerlab","account":"otherlab"'],
  ['"account":"ownerlab"', '"account":"ownerlab","acc\\u006funt":"otherlab"'],
  ['"name":', '"account":"otherlab","name":'],
  ['"name":', '"ACCOUNT":"otherlab","name":'],
  ['{', '{"account":"otherlab",'],
  ['{', '{/**/'],
  ['{', '{//\n'],
  ['{', ' {'],
  [/\}$/, ',}'],
  [/\}$/, ',"job":{"account":"otherlab"}}'],
  [/\}$/, ',"jobs":["{{foreign.plain}}"]}'],
  [/$/, '{}'],
  [/$/, ' x'],
  [/$/, '\0'],
  [/$/, '\n\n'],
  [/\}$/, ''],
  [/"([a-z_]+)":/, "'$1':"],
  [/"([a-z_]+)":/, '$1:'],
  [/:"([^"]*)"/, ":'$1'"],
  [/:"([^"]*)"/, ':"$1\\u0000"'],
  [/:"([^"]*)"/, ':"$1\\ud800"'],
  [/:"([^"]*)"/, ':NaN'],
  [/:"([^"]*)"/, ':-Infinity'],
  [/:"([^"]*)"/, ':"$1'],
  [/"jobs":\[/, '"jobs":["{{foreign.plain}}",'],
  [/\{\{own\.[a-z]+\}\}/, '{{foreign.plain}}'],
  [/\{\{(own\.[a-z]+)\}\}/, '{{$1|zero}}'],
  [/,/, ',,'],
]

export const textChanges: fc.Arbitrary<Change> = fc.oneof(
  {
    arbitrary: fc.constantFrom(...REPLACEMENTS).map(
      ([from, to]): Change =>
        (draft) =>
          changeText(draft, (text) => text.replace(from, to)),
    ),
    weight: 4,
  },
  {
    arbitrary: fc.constantFrom(...ENCODINGS).map((encoding): Change => (draft) => ({ ...draft, encoding })),
    weight: 1,
  },
  {
    arbitrary: fc
      .tuple(fc.nat(400), fc.constantFrom('"', '{', '}', '[', ',', ':', '\\', '0', '\0', '\u00ff', ''))
      .map(
        ([index, character]): Change =>
          (draft) =>
            changeText(draft, (text) => `${text.slice(0, index)}${character}${text.slice(index + 1)}`),
      ),
    weight: 2,
  },
  {
    arbitrary: fc
      .constantFrom(
        '',
        '{}',
        '[]',
        'null',
        'account=otherlab',
        'job: {account: otherlab}',
        '{"job_id":"{{foreign.plain}}"}',
      )
      .map((text): Change => (draft) => ({ ...draft, text })),
    weight: 1,
  },
)
