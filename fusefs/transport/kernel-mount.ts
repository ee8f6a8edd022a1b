/** Mounts FUSE with mount(8), unmounts with umount(8), sets read-ahead. Needs CAP_SYS_ADMIN. */
import { constants } from 'node:fs'
import { type FileHandle, open, readFile, realpath, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { FusefsError } from '../errors.js'
import { runCommand } from './run-command.js'

export interface KernelMountOptions {
  /** An existing directory. */
  readonly mountpoint: string
  /** The source in /proc/mounts, e.g. `thin-plain`. ASCII letters, digits and `_.:@/-` only. */
  readonly fsName: string
}

export interface KernelMount {
  /**
   * /dev/fuse, connected to the mount. The first request read from it is INIT. The mount lives
   * until the last copy of this descriptor is closed. The caller closes it.
   */
  readonly handle: FileHandle
  readonly mountpoint: string
}

/**
 * `nosuid,nodev` protect the mountpoint itself and do not apply to an overlay above it.
 * `allow_other` is needed because overlayfs acts for every user. With `default_permissions` the
 * kernel checks file modes.
 */
const MOUNT_OPTIONS =
  'rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions,ro,nosuid,nodev'

/** The filesystem type in the mount table. */
const FUSE_TYPE = 'fuse.thin'

/** Mounts. Throws `mount-failed`. To answer requests, start a `FuseServer` on the handle next. */
export async function mountFuse(options: KernelMountOptions): Promise<KernelMount> {
  const mountpoint = await locate(options.mountpoint)
  let handle: FileHandle
  try {
    handle = await open('/dev/fuse', constants.O_RDWR)
  } catch (cause) {
    throw new FusefsError('mount-failed', `open /dev/fuse for ${mountpoint}: ${String(cause)}`, {
      cause,
    })
  }
  try {
    await attach(handle, { ...options, mountpoint })
    return { handle, mountpoint }
  } catch (error) {
    await handle.close()
    throw error
  }
}

/**
 * Mounts the filesystem that `handle` serves again, after somebody has unmounted it. This works
 * while an overlay above still uses the superblock. It needs Linux 5.15. Throws `mount-failed` when
 * the superblock is gone. Nothing uses the handle any more then.
 */
export async function mountFuseAgain(
  handle: FileHandle,
  options: KernelMountOptions,
): Promise<void> {
  await attach(handle, { ...options, mountpoint: await locate(options.mountpoint) })
}

async function attach(handle: FileHandle, options: KernelMountOptions): Promise<void> {
  const { fsName, mountpoint } = options
  if (!/^[\w.:@/-]+$/.test(fsName)) {
    throw new FusefsError('mount-failed', `mount ${mountpoint}: bad name "${fsName}"`)
  }
  const args = ['-i', '-t', FUSE_TYPE, '-o', `fd=3,${MOUNT_OPTIONS}`]
  await runCommand('mount', [...args, fsName, mountpoint], { extraFds: [handle.fd] })
}

/**
 * Unmounts. A mount that is in use is unmounted lazily: open files stay readable until they are
 * closed. Does nothing when nothing is mounted there. Throws `mount-failed`.
 */
export async function unmountFuse(mountpoint: string): Promise<void> {
  const path = await locate(mountpoint)
  try {
    // With -c, only the kernel resolves the path. A stat(2) by umount could hang when no server
    // answers.
    await runCommand('umount', ['-i', '-c', path])
  } catch (error) {
    if ((await topmostOn(path)) === undefined) return
    await runCommand('umount', ['-i', '-c', '-l', path]).catch(() => {
      throw error
    })
  }
}

/**
 * Sets the mount's read-ahead, default 1024 KiB. INIT cannot raise it above 128 KiB. A longer
 * read-ahead makes READs fewer and longer. Call this only after INIT was answered. Throws
 * `mount-failed` when nothing is mounted there or sysfs is read-only.
 */
export async function setReadAhead(mountpoint: string, sizeKib = 1024): Promise<void> {
  const device = (await mountAt(mountpoint))?.device
  if (device === undefined) {
    throw new FusefsError(
      'mount-failed',
      `set read-ahead of ${mountpoint}: nothing is mounted there`,
    )
  }
  try {
    await writeFile(`/sys/class/bdi/${device}/read_ahead_kb`, String(sizeKib))
  } catch (cause) {
    throw new FusefsError('mount-failed', `set read-ahead of ${mountpoint}: ${String(cause)}`, {
      cause,
    })
  }
}

/**
 * The mountpoint's path as the kernel names it. Does not access the mountpoint itself, because that
 * could hang when no server answers.
 */
async function locate(mountpoint: string): Promise<string> {
  const path = resolve(mountpoint)
  try {
    return join(await realpath(dirname(path)), basename(path))
  } catch (cause) {
    throw new FusefsError('mount-failed', `find ${path}: ${String(cause)}`, { cause })
  }
}

/** A line of the mount table. */
export interface MountEntry {
  /** `major:minor` of the superblock. */
  readonly device: string
  /** Whether `mountFuse` made this mount, in this process or in another. */
  readonly isOurs: boolean
}

/**
 * The topmost mount on exactly this path, from the mount table; undefined if there is none. Does
 * not access the mountpoint. Throws `mount-failed` when the directory above it does not exist.
 */
export async function mountAt(mountpoint: string): Promise<MountEntry | undefined> {
  return topmostOn(await locate(mountpoint))
}

/** As `mountAt`, for a resolved path. The format of the table: proc_pid_mountinfo(5). */
async function topmostOn(path: string): Promise<MountEntry | undefined> {
  const table = await readFile('/proc/self/mountinfo', 'latin1')
  let entry: MountEntry | undefined
  for (const line of table.split('\n')) {
    const [before = '', after = ''] = line.split(' - ', 2)
    const fields = before.split(' ')
    if (fields[4] === undefined || unescapeOctal(fields[4]) !== path) continue
    entry = { device: fields[2] ?? '', isOurs: after.startsWith(`${FUSE_TYPE} `) }
  }
  return entry
}

function unescapeOctal(text: string): string {
  const bytes = text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
