/** What is wrong with a row's seal, and what to do about it, in words for the operator. */

import type { ChangeProblem } from '../../src/tokens/seal-keeping.ts'

/** For a change that was refused. */
export function describeRefusedChange(id: string, problem: ChangeProblem): string {
  const nothing = 'nothing was changed'
  switch (problem) {
    case 'key_missing':
      return `${id} is sealed, and a change would break its seal: set TOKEN_KEY_FILE; ${nothing}`
    case 'unsealed':
      return `${id} is not sealed: if it is what you issued (token show ${id}), run: slurmgate db seal --id ${id}; ${nothing}`
    case 'altered':
      return `${id} is not as it was sealed, or its key is not in TOKEN_KEY_FILE: revoke it and issue a new token; ${nothing}`
    case 'too_old':
      return `${id} was sealed before TOKENS_NOT_BEFORE: revoke it and issue a new token; ${nothing}`
  }
}

/** For a token that was revoked all the same; null: there is nothing to warn of. */
export function describeRevokedSeal(id: string, problem: ChangeProblem): string | null {
  switch (problem) {
    case 'key_missing':
      return `${id} was revoked without TOKEN_KEY_FILE: its seal does not fit any more, which db seal --check will say`
    case 'altered':
      return `${id} was not as it was sealed, or its key is not in TOKEN_KEY_FILE: it got no new seal`
    case 'too_old':
      return `${id} was sealed before TOKENS_NOT_BEFORE: it got no new seal`
    case 'unsealed':
      return null
  }
}
