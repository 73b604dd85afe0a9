/** Reads big-endian fields from untrusted bytes, each with a check of what is left before it. */

/** The bytes end before the field does, or go on after the last one. */
export class FrameError extends Error {
  override readonly name = 'FrameError'
}

export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #offset = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  readByte(): number {
    return this.#view.getUint8(this.#take(1))
  }

  readUint32(): number {
    return this.#view.getUint32(this.#take(4))
  }

  /** @returns a view, not a copy. */
  readBytes(length: number): Uint8Array {
    const start = this.#take(length)
    return this.#bytes.subarray(start, start + length)
  }

  requireEnd(): void {
    const left = this.#bytes.length - this.#offset
    if (left !== 0) throw new FrameError(`${left} bytes after the last field`)
  }

  #take(length: number): number {
    const start = this.#offset
    const left = this.#bytes.length - start
    if (length > left) throw new FrameError(`a field of ${length} bytes with ${left} left`)
    this.#offset += length
    return start
  }
}
