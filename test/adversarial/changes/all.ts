/** The changes that make a request hostile, chosen by the seed. */

import fc from 'fast-check'
import type { Change } from './change.ts'
import { documentChanges } from './document.ts'
import { headerChanges, methodChanges } from './head.ts'
import { pathChanges } from './path.ts'
import { queryChanges } from './query.ts'
import { textChanges } from './text.ts'

export const hostileChanges: fc.Arbitrary<Change> = fc.oneof(
  { arbitrary: pathChanges, weight: 3 },
  { arbitrary: documentChanges, weight: 9 },
  { arbitrary: textChanges, weight: 3 },
  { arbitrary: queryChanges, weight: 2 },
  { arbitrary: headerChanges, weight: 2 },
  { arbitrary: methodChanges, weight: 1 },
)
