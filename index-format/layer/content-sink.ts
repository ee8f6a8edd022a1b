/** Where the bytes of a layer's files go while it is unpacked. */
export interface ContentSink {
  /**
   * Appends `chunk`, a view that stays as it is. The first byte appended has offset 0. What it throws
   * ends the unpacking.
   */
  append(chunk: Uint8Array): void | Promise<void>
}
