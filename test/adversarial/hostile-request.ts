/**
 * A request as an attacker writes it, with names in place of job ids and secrets: `{{foreign.plain}}`,
 * `{{own.array|hex}}`. So it can be printed, repeated, and sent to every gate with that gate's own ids.
 */

export type Caller =
  /** Restricted to the own account, with every scope a restricted token can have. */
  | 'bound'
  /** Restricted, `slurm:read` alone. */
  | 'reader'
  /** Restricted, `slurm:jobs:manage` alone. */
  | 'manager'
  /** Restricted, `slurmdb:read` alone. */
  | 'accountant'
  /** Not restricted, with the three ordinary scopes. */
  | 'free'
  /** Not restricted, with every scope there is, behind a gate with ADMIN_SCOPES=on. */
  | 'admin'
  | 'munge'

export type TokenCaller = Exclude<Caller, 'munge'>

export const JOB_KINDS = [
  'own.plain',
  'own.running',
  'own.array',
  'own.het',
  'foreign.plain',
  'foreign.running',
  'foreign.array',
  'foreign.het',
  'foreign.hetPart',
  'foreign.bob',
  /** Of another user, in the own account: Slurm itself guards it. */
  'bob.own',
  /** Leader own, second component not. */
  'mixed.het',
  /** The component of it that is own. */
  'mixed.hetPart',
  /** Leader not own, second component own. */
  'mixed.foreignHet',
  'mixed.foreignHetPart',
  /** An own array with task 2 moved to the other account. */
  'mixed.array',
  'mixed.arrayTask',
  /** The other way round. */
  'mixed.foreignArray',
  'mixed.foreignArrayTask',
] as const
export type JobKind = (typeof JOB_KINDS)[number]
export type OwnKind = Extract<JobKind, `own.${string}`>
export const OWN_KINDS: readonly OwnKind[] = ['own.plain', 'own.running', 'own.array', 'own.het']
/**
 * Naming one of these in a write must never do anything. The own task of a foreign array is not among them: its number
 * is a job of its own, and what is written there stays there (the real runs watch its siblings). Nor is another user's
 * job in the own account, which Slurm guards.
 */
export const CLOSED_KINDS: readonly JobKind[] = JOB_KINDS.filter(
  (kind) => !kind.startsWith('own.') && kind !== 'mixed.foreignArrayTask' && kind !== 'bob.own',
)
export type JobIds = Readonly<Record<JobKind, string>>

export const ENCODINGS = ['utf-8', 'utf-8-bom', 'utf-16le', 'utf-16be-bom', 'latin1', 'overlong'] as const
export type Encoding = (typeof ENCODINGS)[number]

export interface HostileRequest {
  readonly caller: Caller
  readonly method: string
  /** Path and query as they stand in the request line. */
  readonly target: string
  /** Beside the credential, `Host` and the framing. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string | null
  readonly encoding: Encoding
  readonly isChunked: boolean
  /** What an honest client sends: it has to be let through. */
  readonly isHonest: boolean
}

/** Ids and secrets filled in. */
export interface FilledRequest {
  readonly method: string
  readonly target: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer | null
  readonly isChunked: boolean
}

export function fillRequest(request: HostileRequest, ids: JobIds, secret: string): FilledRequest {
  const fill = (text: string): string => fillIds(text, ids).replaceAll('{{secret}}', secret)
  return {
    method: request.method,
    target: fill(request.target),
    headers: request.headers.map(([name, value]) => [name, fill(value)] as const),
    body: request.body === null ? null : encodeText(fill(request.body), request.encoding),
    isChunked: request.isChunked,
  }
}

/** With names for ids and without secrets: fit for a log. */
export function describeRequest(request: HostileRequest): string {
  const { caller, method, target, headers, body, encoding, isChunked } = request
  const lines = headers.map(([name, value]) => `${name}: ${value}`)
  const extras = [encoding === 'utf-8' ? '' : encoding, isChunked ? 'chunked' : ''].filter(Boolean)
  return [
    `as ${caller}: ${escape(method)} ${escape(target)}`,
    ...lines.map((line) => `    ${escape(line)}`),
    ...(body === null ? [] : [`    ${escape(body)} ${extras.join(' ')}`]),
  ].join('\n')
}

/** Control characters and what is not ASCII, so that a log shows what was sent. */
export function escape(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, (character) => {
    const code = character.codePointAt(0) ?? 0
    return `\\u{${code.toString(16)}}`
  })
}

function fillIds(text: string, ids: JobIds): string {
  return text.replace(/\{\{([a-zA-Z.]+)(?:\|([a-z0-9]+))?\}\}/g, (whole, kind: string, form?: string) => {
    const id = (ids as Readonly<Record<string, string>>)[kind]
    return id === undefined ? whole : (ID_FORMS[form ?? 'plain'] ?? ID_FORMS.plain)(id)
  })
}

type IdForm = (id: string) => string

/** How some parser might read the same job, or a part of it. */
export const ID_FORMS: Readonly<Record<string, IdForm>> & { readonly plain: IdForm } = {
  plain: (id) => id,
  zero: (id) => `0${id}`,
  zeros: (id) => `0000000000${id}`,
  hex: (id) => `0x${Number(id).toString(16)}`,
  octal: (id) => `0${Number(id).toString(8)}`,
  exponent: (id) => `${id}e0`,
  tenths: (id) => `${id}0e-1`,
  plus: (id) => `+${id}`,
  plus2: (id) => `%2B${id}`,
  minus: (id) => `-${id}`,
  real: (id) => `${id}.0`,
  point: (id) => `${id}.`,
  batch: (id) => `${id}.batch`,
  extern: (id) => `${id}.extern`,
  step: (id) => `s${id}`,
  task: (id) => `${id}_1`,
  task2: (id) => `${id}_2`,
  taskzero: (id) => `${id}_0`,
  tasks: (id) => `${id}_[1-2]`,
  tasksall: (id) => `${id}_*`,
  part: (id) => `${id}+0`,
  part1: (id) => `${id}+1`,
  part1escaped: (id) => `${id}%2B1`,
  space: (id) => `%20${id}`,
  spaced: (id) => `${id}%20`,
  tab: (id) => `${id}%09`,
  newline: (id) => `${id}%0a`,
  nul: (id) => `${id}%00`,
  nulmore: (id) => `${id}%00.1`,
  escaped: (id) => id.replace(/\d/g, '%3$&'),
  doubly: (id) => id.replace(/\d/g, '%253$&'),
  fullwidth: (id) => moveDigits(id, 0xff10),
  arabic: (id) => moveDigits(id, 0x660),
  federated: (id) => String(Number(id) + 2 ** 26),
  wrapped: (id) => String(Number(id) + 2 ** 32),
  wrapped64: (id) => String(BigInt(id) + 2n ** 64n),
  list: (id) => `${id},${id}`,
  slash: (id) => `${id}%2f`,
  parameter: (id) => `${id};x=1`,
  fragment: (id) => `${id}%23`,
  query: (id) => `${id}%3Fsignal=KILL`,
  quoted: (id) => `%22${id}%22`,
}

export const ID_FORM_NAMES: readonly string[] = Object.keys(ID_FORMS)

/** Digits of another script, which some number readers take. */
function moveDigits(id: string, zero: number): string {
  return encodeURIComponent(id.replace(/\d/g, (digit) => String.fromCodePoint(zero + Number(digit))))
}

function encodeText(text: string, encoding: Encoding): Buffer {
  switch (encoding) {
    case 'utf-8':
      return Buffer.from(text, 'utf8')
    case 'utf-8-bom':
      return Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(text, 'utf8')])
    case 'utf-16le':
      return Buffer.from(text, 'utf16le')
    case 'utf-16be-bom':
      return Buffer.concat([Buffer.from([0xfe, 0xff]), Buffer.from(text, 'utf16le').swap16()])
    case 'latin1':
      return Buffer.from(text, 'latin1')
    case 'overlong':
      // RFC 3629 section 3: `a` in two bytes, which a careless decoder takes.
      return Buffer.from(Buffer.from(text, 'utf8').toString('latin1').replace('a', '\xc1\xa1'), 'latin1')
  }
}
