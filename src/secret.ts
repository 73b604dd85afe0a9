/** Text that may be used and not shown: logs, errors and JSON get nothing of it, only who asks for it by name does. */

export interface Secret {
  reveal(): string
  /** SHA-256, lower-case hex: tells one from another. */
  readonly digest: string
}

export function concealText(text: string, digest: string): Secret {
  return { reveal: () => text, digest }
}
