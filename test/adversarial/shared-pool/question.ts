/** One request of one identity, and what its own answer is. Which one it is depends on the seed and its number alone. */

import type { RawHeader, RawRequest } from '../../support/raw-http.ts'
import { BAD_QUESTIONS } from './bad-questions.ts'
import { createDice, type Dice } from './dice.ts'
import { GOOD_QUESTIONS } from './good-questions.ts'
import type { Identity } from './identities.ts'
import type { Expected } from './judge.ts'

export interface Question {
  readonly kind: string
  readonly request: RawRequest
  readonly expected: Expected
  /** The client goes before its answer, or in the middle of it; null: it takes it. */
  readonly leaves: 'before' | 'within' | null
}

/** What a question is made from. */
export interface Asker {
  readonly identity: Identity
  readonly others: readonly Identity[]
  readonly version: number
  readonly dice: Dice
  /** Of this request and of no other. */
  readonly number: number
}

/** A question without its caller's part. */
export interface Draft {
  readonly method?: 'GET' | 'POST'
  readonly target: string
  readonly body?: string
  readonly expected: Omit<Expected, 'name'>
  readonly leaves?: 'before' | 'within'
  /** Who asks it, where that is not the asker. */
  readonly identity?: Identity
  /** In the place of one that is good. */
  readonly credential?: readonly RawHeader[]
}

export interface QuestionKind {
  readonly kind: string
  /** Of a thousand. */
  readonly share: number
  readonly ask: (asker: Asker) => Draft
}

const KINDS: readonly QuestionKind[] = [...GOOD_QUESTIONS, ...BAD_QUESTIONS]

/** Those of 26.05, its newest most often: the same question has to be asked again while its answer is kept. */
const VERSIONS: readonly number[] = [42, 43, 44, 45, 45, 45, 45, 45]

export function buildQuestion(identities: readonly Identity[], seed: number, number: number): Question {
  const dice = createDice(Math.imul(seed, 31) + Math.imul(number, 0x9e3779b1))
  const identity = dice.pick(identities)
  const asker = {
    identity,
    others: identities.filter((other) => other !== identity),
    version: dice.pick(VERSIONS),
    dice,
    number,
  }
  const { kind, ask } = pickKind(dice)
  const draft = ask(asker)
  const { method = 'GET', target, body, leaves = null, identity: caller = identity } = draft
  const headers = [...(draft.credential ?? buildCredential(caller, dice)), ...buildOtherHeaders(draft, dice)]
  return {
    kind,
    leaves,
    request: { method, target, headers, ...(body === undefined ? {} : { body }) },
    expected: { ...draft.expected, name: caller.name },
  }
}

/** Every one of them, for who asks whether a kind is ever asked. */
export function listKinds(): readonly string[] {
  return KINDS.map(({ kind }) => kind)
}

function pickKind(dice: Dice): QuestionKind {
  let left = dice.below(KINDS.reduce((total, { share }) => total + share, 0))
  for (const one of KINDS) if ((left -= one.share) < 0) return one
  throw new Error('the shares do not add up')
}

/** Each form that a token may be sent in. */
function buildCredential({ name, token }: Identity, dice: Dice): RawHeader[] {
  const slurmHeader = ['X-Slurm-User-Token', token] as const
  return dice.pick<RawHeader[]>([
    [['Authorization', `Bearer ${token}`]],
    [['X-Slurm-User-Name', 'palmapi_bearer'], slurmHeader],
    [['X-Slurm-User-Name', name], slurmHeader],
    [slurmHeader],
  ])
}

function buildOtherHeaders({ body }: Draft, dice: Dice): RawHeader[] {
  const type: RawHeader[] = body === undefined ? [] : [['Content-Type', 'application/json']]
  const fresh: RawHeader[] = dice.below(5) === 0 ? [['Cache-Control', 'no-cache']] : []
  return [...type, ...fresh]
}
