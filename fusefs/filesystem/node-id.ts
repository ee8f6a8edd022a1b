/**
 * Node ids are computed, never handed out: `slot * 2^32 + ino`, below 2^53. A restarted server
 * answers the same ids, FORGET needs no bookkeeping, and `st_ino` is stable; a changed id is what
 * makes overlayfs return ESTALE.
 */

const TWO_32 = 2 ** 32

/** Slot 0 is the superblock's root directory; its inode 1 is FUSE_ROOT_ID. */
export const ROOT_SLOT = 0

export function nodeIdOf(slot: number, ino: number): number {
  return slot * TWO_32 + ino
}
