/**
 * What a snapshot's mounts are: pure, from paths to the mount(8) options containerd will use. The
 * shapes for ordinary layers are those of containerd's own overlayfs snapshotter.
 */
import type { Mount } from '../../../proto/index.js'

/** One lower directory. A thin layer's is on a FUSE mount, or another filesystem of the host's. */
export interface Lower {
  readonly kind: 'ordinary' | 'thin'
  /** Absolute path without colon, comma or backslash. */
  readonly path: string
}

export interface MountsInput {
  readonly kind: 'active' | 'view'
  /** The snapshot's own directory. */
  readonly fsDir: string
  /** overlayfs's work directory, on the same filesystem as `fsDir`. An active snapshot's only. */
  readonly workDir: string
  /** Whether the snapshot has a parent; `lowers` may be empty all the same. */
  readonly hasParent: boolean
  /** The lower directories of all parents, top first. */
  readonly lowers: readonly Lower[]
  /** An ordinary directory that is and stays empty. */
  readonly emptyDir: string
  /** Added to every overlay mount: `index=off`, `userxattr`. */
  readonly overlayOptions: readonly string[]
}

/** The mounts that show the snapshot's content; always exactly one. */
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
  // A thin layer's directory lies on a mount with nosuid and nodev, which a bind mount would keep:
  // setuid programs and device nodes would not work. overlayfs does not hand them on, but needs two
  // lower directories where there is no upper one.
  const paths = below.length === 0 ? [top.path, emptyDir] : lowers.map((lower) => lower.path)
  return [overlay([`lowerdir=${paths.join(':')}`, ...input.overlayOptions])]
}

/**
 * overlayfs refuses the same lower directory twice (ELOOP), yet images repeat layers. What stands
 * below its own repetition shows nothing: every name it has, the upper one has too.
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
