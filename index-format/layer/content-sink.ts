/** Takes the bytes of a layer's files while the layer is unpacked. */
export interface ContentSink {
  /**
   * Appends `chunk`. Its bytes do not change later, so that the sink may keep it. The first byte
   * appended has offset 0. An error thrown here ends the unpacking.
   */
  append(chunk: Uint8Array): void | Promise<void>
}
