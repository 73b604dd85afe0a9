/** Reading byte streams with a cap: nothing here ever holds more than it was told to. */

type ByteStream = ReadableStream<Uint8Array>

/** Whole, still to come, or none. */
export type Body = Uint8Array<ArrayBuffer> | ByteStream | null

/** @returns null where there is more than `maxBytes`; a stream is cancelled then. */
export async function readAll(stream: Body, maxBytes: number): Promise<Uint8Array<ArrayBuffer> | null> {
  if (stream === null) return new Uint8Array(0)
  if (stream instanceof Uint8Array) return stream.length > maxBytes ? null : stream
  const reader = stream.getReader()
  const chunks: Uint8Array[] = []
  let length = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return joinBytes(chunks, length)
    length += value.length
    if (length > maxBytes) {
      await reader.cancel().catch(() => undefined)
      return null
    }
    chunks.push(value)
  }
}

/**
 * Looks at the beginning of a stream without losing it.
 * @returns the bytes up to `maxBytes` or the end, and a stream that still gives everything.
 */
export async function peek(
  stream: ByteStream,
  maxBytes: number,
): Promise<{ head: Uint8Array<ArrayBuffer>; isWhole: boolean; stream: ByteStream }> {
  const reader = stream.getReader()
  const chunks: Uint8Array[] = []
  let length = 0
  let isWhole = false
  while (length <= maxBytes && !isWhole) {
    const { done, value } = await reader.read()
    if (done) isWhole = true
    else {
      chunks.push(value)
      length += value.length
    }
  }
  const rest = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk)
      if (isWhole) controller.close()
    },
    async pull(controller) {
      const { done, value } = await reader.read()
      if (done) controller.close()
      else controller.enqueue(value)
    },
    cancel: (reason) => reader.cancel(reason),
  })
  return { head: joinBytes(chunks, length), isWhole, stream: rest }
}

/** Fails the stream when its source gives nothing for so long. @param onSilence makes the reason. */
export function failOnSilence(
  stream: ByteStream,
  silenceMilliseconds: number,
  onSilence: () => Error,
): ByteStream {
  const reader = stream.getReader()
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      let timer: ReturnType<typeof setTimeout> | undefined
      const silence = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(onSilence()), silenceMilliseconds)
      })
      try {
        const { done, value } = await Promise.race([reader.read(), silence])
        if (done) controller.close()
        else controller.enqueue(value)
      } catch (cause) {
        // Not awaited: a source that is silent may not let go either.
        void reader.cancel(cause).catch(() => undefined)
        controller.error(cause)
      } finally {
        clearTimeout(timer)
      }
    },
    cancel: (reason) => reader.cancel(reason),
  })
}

/** Tells whoever makes it that nobody reads it. */
export async function discardBody(body: Body): Promise<void> {
  if (body instanceof ReadableStream) await body.cancel().catch(() => undefined)
}

/** @param length of all together. */
export function joinBytes(chunks: readonly Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length)
  let offset = 0
  for (const chunk of chunks) {
    bytes.set(chunk, offset)
    offset += chunk.length
  }
  return bytes
}
