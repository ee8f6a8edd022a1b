/** Bytes that can be read at any place: a spool file, a pack file, a buffer in a test. */
export interface RandomAccess {
  /** Total bytes. */
  readonly sizeBytes: number
  /**
   * Fills `target` from `offset` on. Throws `truncated` when the bytes end first: a caller always
   * knows how many there must be.
   */
  readSync(target: Uint8Array, offset: number): void
}
