/** Slurm account names, as slurmctld and slurmdbd compare them: `tolower` in the C locale (measured). */

/** ASCII letters and no others: U+212A, the Kelvin sign, would become a `k` and name another account. */
export function foldAccount(name: string): string {
  return name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}

/** @param found as a document names it, untrusted. @param account folded. */
export function isSameAccount(found: unknown, account: string): boolean {
  return typeof found === 'string' && foldAccount(found) === account
}
