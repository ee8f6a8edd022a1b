/** One tree, mounted in the foreground without containerd: what `thinctl mount` shows. */
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
  /** An index file, verified by whoever brought it. */
  readonly indexPath: string
  readonly indexDigest: Digest
  /** URLs of the stores that have its packs; handed to `content` with the tree. */
  readonly stores: readonly string[]
  /** An existing directory. */
  readonly mountpoint: string
  readonly transport: TransportName
  /** What /proc/mounts shows as the source. Default `thin`. */
  readonly fsName?: string
  /** Logs the protocol at level debug; the kernel transport only. Default false. */
  readonly trace?: boolean
}

export interface MountTreeModules {
  readonly content: ContentReader
  readonly log: Log
}

/** A tree being served by this process, at the root of its mount. */
export interface Mounted {
  readonly mountpoint: string
  readonly transport: TransportName
  /** Unmounts, lazily if need be, and frees everything. Idempotent. */
  unmount(): Promise<void>
  /**
   * Resolves when the mount is gone, whoever unmounted it; with `native` only `unmount` is seen. Call
   * `unmount` then, too.
   */
  readonly ended: Promise<void>
}

/** Mounts one tree. Throws `mount-failed`, `tree-unavailable`, or what `Index.open` throws. */
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
    // In this order nothing can hang: a thread that blocks in read(2) would keep the connection
    // alive for whoever still has a file open, and the process with it.
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
