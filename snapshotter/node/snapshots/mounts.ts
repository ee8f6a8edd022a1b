/**
 * Computes a snapshot's mounts: from paths to the mount(8) options that containerd will use,
 * without touching the disk. For ordinary layers they are those of containerd's own overlayfs
 * snapshotter.
 */
import type { Mount } from '../../../proto/index.js'

/**
 * One lower directory. The directory of a thin layer is on a FUSE mount or on another filesystem of
 * the host.
 */
export interface Lower {
  readonly kind: 'ordinary' | 'thin'
  /** Absolute path without colon, comma or backslash. */
  readonly path: string
}

export interface MountsInput {
  readonly kind: 'active' | 'view'
  /** The snapshot's own directory. */
  readonly fsDir: string
  /**
   * overlayfs's work directory, on the same filesystem as `fsDir`. Used for active snapshots only.
   */
  readonly workDir: string
  /** Whether the snapshot has a parent. Even then `lowers` may be empty. */
  readonly hasParent: boolean
  /** The lower directories of all parents, top first. */
  readonly lowers: readonly Lower[]
  /** An ordinary directory that always stays empty. */
  readonly emptyDir: string
  /** Options added to every overlay mount, such as `index=off`. */
  readonly overlayOptions: readonly string[]
}

/** The mounts that show the snapshot's content. It is always exactly one mount. */
export function mountsOf(input: MountsInput): Mount[] {
  const { kind, emptyDir } = input
  const lowers = withoutRepeats(input.lowers)
  if (!input.hasParent) return [bind(input.fsDir, kind === 'active' ? 'rw' : 'ro')]
  if (kind === 'active') {
    const lowerPaths = lowers.length === 0 ? [emptyDir] : lowers.map((lower) => lower.path)
    const upper = [`workdir=${input.workDir}`, `upperdir=${input.fsDir}`]
    return [overlay([...upper, `lowerdir=${lowerPaths.join(':')}`, ...input.overlayOptions])]
  }
  const [top, ...below] = lowers
  if (top === undefined) return [bind(emptyDir, 'ro')]
  if (below.length === 0 && top.kind === 'ordinary') return [bind(top.path, 'ro')]
  // A thin layer's directory is on a mount with nosuid and nodev. A bind mount of it would keep
  // both flags: setuid programs and device nodes would not work. An overlay mount does not take
  // them over, but without an upper directory it needs two lower ones.
  const paths = below.length === 0 ? [top.path, emptyDir] : lowers.map((lower) => lower.path)
  return [overlay([`lowerdir=${paths.join(':')}`, ...input.overlayOptions])]
}

/**
 * Removes all but one of equal lower directories. overlayfs refuses a lower directory that occurs
 * twice (ELOOP), but images repeat layers. The topmost one hides every name of its repetitions.
 */
function withoutRepeats(lowers: readonly Lower[]): Lower[] {
  return [...new Map(lowers.map((lower) => [lower.path, lower])).values()]
}

function bind(source: string, access: 'rw' | 'ro'): Mount {
  return { type: 'bind', source, target: '', options: [access, 'rbind'] }
}

function overlay(options: readonly string[]): Mount {
  return { type: 'overlay', source: 'overlay', target: '', options }
}
