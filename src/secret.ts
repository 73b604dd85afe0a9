/** Text that may be used and not shown: logs, errors and JSON get nothing of it, only who asks for it by name does. */

export interface Secret {
  reveal(): string
}

export function concealText(text: string): Secret {
  return { reveal: () => text }
}
