/** What the Worker uses of workerd's own. */
declare module 'cloudflare:workers' {
  export function waitUntil(work: Promise<unknown>): void
}

/** An identity stream that fails when more or fewer bytes come than it was told. */
declare class FixedLengthStream extends TransformStream<Uint8Array, Uint8Array> {
  constructor(expectedLength: number)
}
