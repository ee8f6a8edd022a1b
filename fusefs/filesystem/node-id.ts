/**
 * A node id is computed from slot and inode number: `slot * 2^32 + ino`, below 2^53. It is not
 * allocated. So a restarted server gives the same ids, FORGET needs no bookkeeping, and `st_ino` is
 * stable. overlayfs returns ESTALE when a node id changes.
 */

const TWO_32 = 2 ** 32

/** The slot of the superblock's root directory, whose inode number is 1 (FUSE_ROOT_ID). */
export const ROOT_SLOT = 0

export function nodeIdOf(slot: number, ino: number): number {
  return slot * TWO_32 + ino
}
