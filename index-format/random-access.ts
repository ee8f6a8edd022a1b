/** Bytes that can be read at any position: a spool file, a pack file, a buffer in a test. */
export interface RandomAccess {
  /** Total bytes. */
  readonly sizeBytes: number
  /**
   * Fills all of `target` with the bytes from `offset` on. Throws `truncated` if there are fewer: a
   * caller always knows how many there must be.
   */
  readSync(target: Uint8Array, offset: number): void
}
