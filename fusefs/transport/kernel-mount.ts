/** The life of a FUSE mountpoint: mount(8), read-ahead, umount(8). Needs CAP_SYS_ADMIN. */
import { constants } from 'node:fs'
import { type FileHandle, open, readFile, realpath, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { FusefsError } from '../errors.js'
import { runCommand } from './run-command.js'

export interface KernelMountOptions {
  /** An existing directory. */
  readonly mountpoint: string
  /** What /proc/mounts shows as the source, e.g. `thin-plain`. No commas. */
  readonly fsName: string
}

export interface KernelMount {
  /**
   * /dev/fuse, connected to the mount; the first request in it is INIT. The mount lives until the
   * last copy of this descriptor is closed. The caller closes it.
   */
  readonly handle: FileHandle
  readonly mountpoint: string
}

/**
 * `nosuid,nodev` protect the mountpoint itself and do not reach an overlay above it; `allow_other`
 * because overlayfs acts for every user; `default_permissions` because the kernel then checks modes.
 */
const MOUNT_OPTIONS =
  'rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions,ro,nosuid,nodev'

/** Mounts. Throws `mount-failed`. Nothing answers yet: start a `FuseServer` on the handle next. */
export async function mountFuse(options: KernelMountOptions): Promise<KernelMount> {
  const mountpoint = await locate(options.mountpoint)
  if (!/^[\w.:@/-]+$/.test(options.fsName)) {
    throw new FusefsError('mount-failed', `mount ${mountpoint}: bad name "${options.fsName}"`)
  }
  let handle: FileHandle
  try {
    handle = await open('/dev/fuse', constants.O_RDWR)
  } catch (cause) {
    throw new FusefsError('mount-failed', `open /dev/fuse for ${mountpoint}: ${String(cause)}`, {
      cause,
    })
  }
  try {
    const args = ['-i', '-t', 'fuse.thin', '-o', `fd=3,${MOUNT_OPTIONS}`]
    await runCommand('mount', [...args, options.fsName, mountpoint], { extraFds: [handle.fd] })
    return { handle, mountpoint }
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** Unmounts, lazily when it is still in use: what is open stays readable until it is closed. Throws `mount-failed`. */
export async function unmountFuse(mountpoint: string): Promise<void> {
  const path = await locate(mountpoint)
  try {
    // -c: the path is looked up nowhere but in the kernel; nobody might be there to answer stat(2).
    await runCommand('umount', ['-i', '-c', path])
  } catch (error) {
    if ((await mountOf(path)) === undefined) return
    await runCommand('umount', ['-i', '-c', '-l', path]).catch(() => {
      throw error
    })
  }
}

/**
 * Raises the mount's read-ahead above the 128 KiB at which INIT stops: fewer, longer READs. Only
 * after INIT was answered. Throws `mount-failed` when there is no such mount or sysfs is read-only.
 */
export async function setReadAhead(mountpoint: string, sizeKib = 1024): Promise<void> {
  const device = await mountOf(await locate(mountpoint))
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

/** The mountpoint as the kernel names it, found without touching it: nobody might answer there. */
async function locate(mountpoint: string): Promise<string> {
  const path = resolve(mountpoint)
  try {
    return join(await realpath(dirname(path)), basename(path))
  } catch (cause) {
    throw new FusefsError('mount-failed', `find ${path}: ${String(cause)}`, { cause })
  }
}

/** `major:minor` of the topmost mount on exactly this path, from proc_pid_mountinfo(5). */
async function mountOf(path: string): Promise<string | undefined> {
  const table = await readFile('/proc/self/mountinfo', 'latin1')
  let device: string | undefined
  for (const line of table.split('\n')) {
    const fields = line.split(' ')
    if (fields[4] !== undefined && unescapeOctal(fields[4]) === path) device = fields[2]
  }
  return device
}

function unescapeOctal(text: string): string {
  const bytes = text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
