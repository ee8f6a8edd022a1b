/**
 * Mounts through fuse-native, which uses libfuse 2 and the setuid program fusermount. Users who may
 * not call mount(2) can mount this way. fuse-native is optional: without it or libfuse.so.2,
 * mounting fails with an error that says what to install.
 */
import type Fuse from 'fuse-native'
import type { Done, NativeOperations as Handlers } from 'fuse-native'
import { FusefsError } from '../errors.js'
import { ERRNO } from '../filesystem/errno.js'
import { NativeOperations, type NativeModules } from './native-operations.js'

export interface NativeMountOptions {
  readonly mountpoint: string
  readonly fsName: string
}

/** A mount by libfuse. It ends with `unmount` or with the process. */
export interface NativeMount {
  unmount(): Promise<void>
}

/** How long the kernel may cache answers: ten years, in seconds. */
const FOREVER_SEC = 315_360_000

/** Mounts the filesystem and serves it. Throws `mount-failed`. The caller unmounts. */
export async function mountNative(
  options: NativeMountOptions,
  modules: NativeModules,
): Promise<NativeMount> {
  const { mountpoint, fsName } = options
  const FuseNative = await importFuseNative()
  const fuse = new FuseNative(mountpoint, handlersOf(new NativeOperations(modules)), {
    // fuse-native has no option for a read-only mount. It joins its options with commas, so that
    // `ro` can follow the name.
    fsname: `${fsName},ro`,
    subtype: 'thin',
    timeout: false,
    kernelCache: true,
    entryTimeout: FOREVER_SEC,
    attrTimeout: FOREVER_SEC,
  })
  await new Promise<void>((resolve, reject) => {
    fuse.mount((error) => {
      if (error === null) resolve()
      else reject(refused(`mount ${mountpoint}: ${error.message}; see what fusermount said`, error))
    })
  })
  return {
    unmount: () =>
      new Promise((resolve, reject) => {
        fuse.unmount((error) => {
          if (error === null) resolve()
          else reject(refused(`unmount ${mountpoint}: ${error.message}`, error))
        })
      }),
  }
}

async function importFuseNative(): Promise<typeof Fuse> {
  try {
    const module = await import('fuse-native')
    return module.default
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw refused(
      `mount as an ordinary user: fuse-native cannot be loaded (${reason}); ` +
        'it needs "npm install fuse-native" and libfuse.so.2 (Debian: libfuse2)',
      cause,
    )
  }
}

function handlersOf(operations: NativeOperations): Handlers {
  const answer = <Result>(
    path: string,
    done: Done<[Result?]>,
    compute: () => Result | undefined,
  ): void => {
    let result: Result | undefined
    try {
      result = compute()
    } catch (error) {
      done(-operations.errnoOfNative(error, path))
      return
    }
    done(0, result)
  }
  return {
    getattr: (path, done) => {
      answer(path, done, () => operations.getattr(path))
    },
    readdir: (path, done) => {
      answer(path, done, () => operations.readdir(path))
    },
    readlink: (path, done) => {
      answer(path, done, () => operations.readlink(path))
    },
    getxattr: (path, name, _position, done) => {
      answer(path, done, () => operations.xattr(path, name))
    },
    listxattr: (path, done) => {
      answer(path, done, () => operations.xattrNames(path))
    },
    statfs: (path, done) => {
      answer(path, done, () => operations.statfs())
    },
    open: (_path, flags, done) => {
      const writes = (flags & ACCESS_MODE) !== 0
      done(writes ? -ERRNO.EROFS : 0, 0)
    },
    read: (path, _fd, target, length, offset, done) => {
      operations.read(path, target.subarray(0, length), offset).then(
        (count) => {
          done(count)
        },
        (error: unknown) => {
          done(-operations.errnoOfNative(error, path))
        },
      )
    },
  }
}

/** `O_ACCMODE` of fcntl.h. */
const ACCESS_MODE = 3

function refused(message: string, cause: unknown): FusefsError {
  return new FusefsError('mount-failed', message, { cause })
}
