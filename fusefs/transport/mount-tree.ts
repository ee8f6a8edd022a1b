/** Mounts one tree in the foreground, without containerd. `thinctl mount` uses it. */
import { type Digest, Index } from '../../index-format/index.js'
import { FusefsError } from '../errors.js'
import { Filesystem } from '../filesystem/filesystem.js'
import type { Log } from '../log.js'
import { SingleTree } from '../trees/single-tree.js'
import type { TreeClass } from '../trees/tree-registry.js'
import type { ContentReader } from './content-reader.js'
import { FuseServer } from './fuse-server.js'
import { mountFuse, setReadAhead, unmountFuse } from './kernel-mount.js'
import { mountNative } from './native-mount.js'

/** `kernel`: needs CAP_SYS_ADMIN. `native`: fuse-native and fusermount, for an ordinary user. */
export type TransportName = 'kernel' | 'native'

export interface MountTreeOptions {
  /** The index file. The caller has verified it. */
  readonly indexPath: string
  readonly indexDigest: Digest
  /** URLs of the stores that have the tree's packs. `content` gets them with the tree. */
  readonly stores: readonly string[]
  /** An existing directory. */
  readonly mountpoint: string
  readonly transport: TransportName
  /** The source that /proc/mounts shows. Default `thin`. */
  readonly fsName?: string
  /** Logs every request and reply at level debug, with the kernel transport only. Default false. */
  readonly trace?: boolean
}

export interface MountTreeModules {
  readonly content: ContentReader
  readonly log: Log
}

/** A tree that this process serves at the root of a mount. */
export interface Mounted {
  readonly mountpoint: string
  readonly transport: TransportName
  /** Unmounts, lazily when the mount is in use, and frees all resources. Idempotent. */
  unmount(): Promise<void>
  /**
   * Resolves when the mount is gone, also when another process unmounted it. With `native`, it
   * resolves only after `unmount`. Call `unmount` afterwards, to free all resources.
   */
  readonly ended: Promise<void>
}

/**
 * Mounts one tree and serves it. Throws `mount-failed`, `tree-unavailable`, `protocol`, or what
 * `Index.open` throws. The caller ends it with `unmount`.
 */
export async function mountTree(
  options: MountTreeOptions,
  modules: MountTreeModules,
): Promise<Mounted> {
  switch (options.transport) {
    case 'kernel':
      return await mountByKernel(options, modules)
    case 'native':
      return await mountByLibfuse(options, modules)
  }
}

async function mountByKernel(
  options: MountTreeOptions,
  { content, log }: MountTreeModules,
): Promise<Mounted> {
  const { indexPath: path, indexDigest, stores, fsName = 'thin', trace = false } = options
  const treeClass = classOf(path)
  const { handle, mountpoint } = await mountFuse({ mountpoint: options.mountpoint, fsName })
  let server: FuseServer
  try {
    const trees = { kind: 'index', path, indexDigest, class: treeClass, stores } as const
    server = await FuseServer.start({ fd: handle.fd, mountpoint, trees, trace }, { content, log })
  } catch (error) {
    await unmountFuse(mountpoint)
    await handle.close()
    throw error
  }
  await setReadAhead(mountpoint).catch((error: unknown) => {
    log.warn({ err: error }, 'reads will be short: read-ahead could not be raised')
  })
  const end = async (): Promise<void> => {
    // The threads must end before the lazy unmount. While another process has a file open, the
    // connection lives on, and a thread that blocks in read(2) would keep this process from
    // exiting.
    await server.stop()
    await unmountFuse(mountpoint)
    await handle.close()
  }
  return mounted({ mountpoint, transport: 'kernel', end, ended: server.ended })
}

async function mountByLibfuse(
  options: MountTreeOptions,
  { content, log }: MountTreeModules,
): Promise<Mounted> {
  const { indexPath, indexDigest, stores, mountpoint, fsName = 'thin' } = options
  const index = Index.open(indexPath)
  const trees = new SingleTree({ indexDigest, class: classFrom(index), stores }, index)
  const filesystem = new Filesystem({ root: 'tree' }, { trees })
  const abort = new AbortController()
  const gone = new AbortController()
  const ended = new Promise<void>((resolve) => {
    gone.signal.addEventListener('abort', () => {
      resolve()
    })
  })
  try {
    const { signal } = abort
    const mount = await mountNative({ mountpoint, fsName }, { filesystem, content, log, signal })
    const end = async (): Promise<void> => {
      abort.abort(new FusefsError('aborted', `${mountpoint} is being unmounted`))
      await mount.unmount()
      trees.close()
      gone.abort()
    }
    return mounted({ mountpoint, transport: 'native', end, ended })
  } catch (error) {
    trees.close()
    throw error
  }
}

function mounted(parts: {
  mountpoint: string
  transport: TransportName
  end: () => Promise<void>
  ended: Promise<void>
}): Mounted {
  const { mountpoint, transport, end, ended } = parts
  let unmounting: Promise<void> | undefined
  const unmount = (): Promise<void> => (unmounting ??= end())
  return { mountpoint, transport, unmount, ended }
}

function classOf(indexPath: string): TreeClass {
  const index = Index.open(indexPath)
  try {
    return classFrom(index)
  } finally {
    index.close()
  }
}

function classFrom(index: Index): TreeClass {
  return index.meta.xattrs ? 'xattr' : 'plain'
}
