/**
 * Numbers digests 0, 1, 2, … in the order of their first appearance. It is a hash table in typed
 * arrays that takes 40 to 48 bytes for each digest. A Map of strings takes four times that, and a
 * layer may have a million files.
 */
import { bytesFromDigest, type Digest, digestFromBytes } from '../digest.js'

const DIGEST_BYTES = 32
const FREE = -1

export class DigestTable {
  #digests = Buffer.alloc(64 * DIGEST_BYTES)
  /** Position of a digest, found from its first bytes by linear probing; at most half full. */
  #slots = new Int32Array(128).fill(FREE)
  #size = 0

  get size(): number {
    return this.#size
  }

  /** The number of `digest`, if it has one. */
  find(digest: Digest): number | undefined {
    const at = this.#slots[this.#slotOf(bytesFromDigest(digest))]
    return at === FREE ? undefined : at
  }

  /** The number of `digest`. A new digest gets the next number. */
  add(digest: Digest): number {
    const bytes = bytesFromDigest(digest)
    const slot = this.#slotOf(bytes)
    const known = this.#slots[slot] ?? FREE
    if (known !== FREE) return known
    if ((this.#size + 1) * 2 > this.#slots.length) {
      this.#grow()
      return this.#insert(this.#slotOf(bytes), bytes)
    }
    return this.#insert(slot, bytes)
  }

  /** The digest numbered `at`. */
  digestAt(at: number): Digest {
    return digestFromBytes(this.#digests.subarray(at * DIGEST_BYTES, (at + 1) * DIGEST_BYTES))
  }

  #insert(slot: number, bytes: Uint8Array): number {
    const at = this.#size++
    this.#digests.set(bytes, at * DIGEST_BYTES)
    this.#slots[slot] = at
    return at
  }

  /** The slot that holds these bytes, or the free one where they belong. */
  #slotOf(bytes: Uint8Array): number {
    const mask = this.#slots.length - 1
    let slot = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) & mask
    for (;;) {
      const at = this.#slots[slot] ?? FREE
      if (at === FREE) return slot
      const from = at * DIGEST_BYTES
      if (this.#digests.compare(bytes, 0, DIGEST_BYTES, from, from + DIGEST_BYTES) === 0)
        return slot
      slot = (slot + 1) & mask
    }
  }

  #grow(): void {
    const digests = Buffer.alloc(this.#slots.length * DIGEST_BYTES)
    digests.set(this.#digests.subarray(0, this.#size * DIGEST_BYTES))
    this.#digests = digests
    this.#slots = new Int32Array(this.#slots.length * 2).fill(FREE)
    for (let at = 0; at < this.#size; at++) {
      const bytes = digests.subarray(at * DIGEST_BYTES, (at + 1) * DIGEST_BYTES)
      this.#slots[this.#slotOf(bytes)] = at
    }
  }
}
