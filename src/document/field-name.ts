/** How a refusal shows a name that the client chose: an answer is no place to smuggle text into. */

/** @returns the name in quotes where it looks like a field's, else `otherwise`. */
export function showName(name: string, otherwise: string): string {
  return /^[A-Za-z0-9_]{1,64}$/.test(name) ? `"${name}"` : otherwise
}
