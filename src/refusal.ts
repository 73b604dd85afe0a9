/**
 * Every deliberate "no" and every outage the gate can answer with: one table from rule name to status, number and
 * public text.
 */

import { CREDENTIAL_REFUSALS } from './credential-refusals.ts'
import { OUTAGES } from './outages.ts'
import { REQUEST_REFUSALS } from './request-refusals.ts'
import type { RuleAnswer } from './rule-answer.ts'

/** Rules that refuse a request. */
export const REFUSALS = { ...CREDENTIAL_REFUSALS, ...REQUEST_REFUSALS }

export type RefusalRule = keyof typeof REFUSALS
export type OutageRule = keyof typeof OUTAGES
export type Rule = RefusalRule | OutageRule

/** A deliberate no. A value, never thrown. */
export interface Refusal {
  readonly kind: 'refusal'
  readonly rule: RefusalRule
  /** Replaces the table's public text where a number or name helps; never holds a secret. */
  readonly description?: string
  /** The scope that was missing, for `WWW-Authenticate` (RFC 6750 section 3). */
  readonly scope?: string
  /** The methods a path takes, for `Allow` (RFC 9110 section 15.5.6). */
  readonly allow?: readonly string[]
}

export function refuse(rule: RefusalRule, more: Omit<Refusal, 'kind' | 'rule'> = {}): Refusal {
  return { kind: 'refusal', rule, ...more }
}

export function isRefusal(value: unknown): value is Refusal {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'refusal'
}

/** A dependency did not answer, or we failed. Thrown; `cause` and `detail` are for the operator's log alone. */
export class Outage extends Error {
  override readonly name = 'Outage'
  readonly rule: OutageRule

  /** @param detail operator text: what did not answer and how; never a credential, token or key. */
  constructor(rule: OutageRule, detail: string, options?: { cause?: unknown }) {
    super(detail, options)
    this.rule = rule
  }
}

export function findRuleAnswer(rule: Rule): RuleAnswer {
  return rule in REFUSALS ? REFUSALS[rule as RefusalRule] : OUTAGES[rule as OutageRule]
}

/** @param methods that the path takes. */
export function refuseMethod(methods: readonly string[]): Refusal {
  return refuse('method_not_allowed', {
    allow: methods,
    description: `this path does not take this method; it takes ${methods.join(', ')}`,
  })
}
