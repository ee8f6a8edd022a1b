/** The FUSE mounts that a keeper holds, with the descriptor and the outcome of INIT of each. */
import { type FileHandle, mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { NegotiatedInit } from '../../../fusefs/index.js'
import { mountAt, mountFuse, mountFuseAgain, unmountFuse } from '../../../fusefs/mounting.js'
import { SnapshotterError } from '../../errors.js'
import type { KeptMount } from './keeper-protocol.js'
import { RootLock } from './root-lock.js'

/** A FUSE mount. The daemon inherits its descriptor. */
export interface HeldMount {
  readonly name: string
  readonly mountpoint: string
  readonly handle: FileHandle
  /** `major:minor` of the superblock. */
  readonly device: string
  /** The outcome of INIT. Undefined until the first daemon has negotiated it. */
  negotiated: NegotiatedInit | undefined
}

export class HeldMounts {
  readonly #mounts = new Map<string, HeldMount>()
  /** The locks of the roots, by root directory. */
  readonly #locks = new Map<string, RootLock>()

  /**
   * Mounts every member of `wanted` that is not mounted: it was never mounted, a keeper that died
   * has left it without a server, or it was unmounted by hand. Returns one sentence for the
   * operator about each mount of the last two kinds. Throws `failed-precondition` when a name is
   * held at another mountpoint, or when another keeper has the root. Throws `mount-failed` when
   * mounting fails. After an error, the mounts that were held before are still held, and no others.
   */
  async hold(wanted: readonly KeptMount[]): Promise<string[]> {
    for (const { name, mountpoint } of wanted) {
      const held = this.#mounts.get(name)
      if (held === undefined || held.mountpoint === mountpoint) continue
      throw new SnapshotterError(
        'failed-precondition',
        `keeper: holds ${name} at ${held.mountpoint}, was asked for ${mountpoint}; shut it down first`,
      )
    }
    const known = new Set(this.#mounts.keys())
    const notices: string[] = []
    try {
      for (const mount of wanted) {
        await this.#lock(dirname(mount.mountpoint))
        const held = this.#mounts.get(mount.name)
        if (held === undefined) notices.push(...(await this.#mount(mount)))
        else if (!(await isInPlace(held))) notices.push(await this.#replace(held))
      }
      return notices
    } catch (error) {
      for (const held of [...this.#mounts.values()]) {
        if (!known.has(held.name)) await this.#release(held)
      }
      await this.#unlockUnused()
      throw error
    }
  }

  /**
   * Mounts again every mount that was unmounted by hand while containers use it. Returns one
   * sentence for the operator about each. A mount that no container used is gone, and its daemon
   * ends: `hold` makes a new mount before the next daemon.
   */
  async putBack(): Promise<string[]> {
    const notices: string[] = []
    for (const held of this.#mounts.values()) {
      if (await isInPlace(held)) continue
      if (await this.#mountAgain(held)) notices.push(noticeOf(held, 'again'))
    }
    return notices
  }

  /** The mounts with these names, in this order. */
  named(names: readonly string[]): HeldMount[] {
    return names.flatMap((name) => this.#mounts.get(name) ?? [])
  }

  /** The descriptors of the locks of all roots. The daemon inherits them. */
  lockFds(): number[] {
    return [...this.#locks.values()].map(({ fd }) => fd)
  }

  get mountpoints(): string[] {
    return [...this.#mounts.values()].map(({ mountpoint }) => mountpoint)
  }

  /** Keeps the outcome of an INIT. */
  remember(name: string, negotiated: NegotiatedInit): void {
    const mount = this.#mounts.get(name)
    if (mount !== undefined) mount.negotiated = negotiated
  }

  /** Unmounts everything and unlocks the roots. Idempotent. */
  async release(): Promise<void> {
    for (const mount of [...this.#mounts.values()]) await this.#release(mount)
    await this.#unlockUnused()
  }

  async #mount({ name, mountpoint }: KeptMount): Promise<string[]> {
    // A mount without a server answers mkdir(2) and everything else with ENOTCONN.
    const wasAbandoned = await removeAbandonedMount(mountpoint)
    await mkdir(mountpoint, { recursive: true, mode: 0o700 })
    const { handle } = await mountFuse({ mountpoint, fsName: fsNameOf(name) })
    const device = (await mountAt(mountpoint))?.device ?? ''
    this.#mounts.set(name, { name, mountpoint, handle, device, negotiated: undefined })
    if (!wasAbandoned) return []
    return [
      `${mountpoint} was mounted, but its keeper had died: mounted anew; containers that used it have lost their files`,
    ]
  }

  async #replace(held: HeldMount): Promise<string> {
    if (await this.#mountAgain(held)) return noticeOf(held, 'again')
    // Its superblock is gone, so nothing can use it any more.
    await held.handle.close()
    this.#mounts.delete(held.name)
    await this.#mount(held)
    return noticeOf(held, 'anew')
  }

  /** Mounts the superblock at its mountpoint again. False when the superblock is gone. */
  async #mountAgain({ name, mountpoint, handle }: HeldMount): Promise<boolean> {
    try {
      await mkdir(mountpoint, { recursive: true, mode: 0o700 })
      await mountFuseAgain(handle, { mountpoint, fsName: fsNameOf(name) })
      return true
    } catch {
      return false
    }
  }

  async #release({ name, mountpoint, handle }: HeldMount): Promise<void> {
    await unmountFuse(mountpoint)
    // This is the last descriptor: requests that still wait for an answer fail with ENOTCONN.
    await handle.close()
    this.#mounts.delete(name)
  }

  async #lock(root: string): Promise<void> {
    if (!this.#locks.has(root)) this.#locks.set(root, await RootLock.take(root))
  }

  async #unlockUnused(): Promise<void> {
    const used = new Set(this.mountpoints.map((mountpoint) => dirname(mountpoint)))
    for (const [root, lock] of [...this.#locks]) {
      if (used.has(root)) continue
      this.#locks.delete(root)
      await lock.close()
    }
  }
}

/**
 * Unmounts the trees of a root whose keeper has died. Returns their mountpoints. Throws
 * `failed-precondition` when a keeper holds the root after all.
 */
export async function removeAbandonedMounts(mountpoints: readonly string[]): Promise<string[]> {
  const removed: string[] = []
  for (const mountpoint of mountpoints) {
    const entry = await mountAt(mountpoint).catch(() => undefined)
    if (entry?.isOurs !== true) continue
    const lock = await RootLock.take(dirname(mountpoint))
    try {
      if (await removeAbandonedMount(mountpoint)) removed.push(mountpoint)
    } finally {
      await lock.close()
    }
  }
  return removed
}

/**
 * Unmounts our FUSE mounts at `mountpoint`. Returns whether there were any. The caller has the lock
 * of the root, so no daemon serves them. Throws `failed-precondition` when another filesystem is
 * mounted there.
 */
async function removeAbandonedMount(mountpoint: string): Promise<boolean> {
  for (let removed = 0; ; removed++) {
    const entry = await mountAt(mountpoint)
    if (entry === undefined) return removed > 0
    if (!entry.isOurs) {
      const message = `${mountpoint} is the mountpoint of something else; unmount it or set another root`
      throw new SnapshotterError('failed-precondition', message)
    }
    await unmountFuse(mountpoint)
  }
}

async function isInPlace({ mountpoint, device }: HeldMount): Promise<boolean> {
  return (await mountAt(mountpoint))?.device === device
}

function noticeOf({ mountpoint }: HeldMount, how: 'again' | 'anew'): string {
  const users = how === 'again' ? 'and the containers that use it go on' : 'no container used it'
  return `${mountpoint} was unmounted, but not by us: mounted ${how}; ${users}`
}

function fsNameOf(name: string): string {
  return `thin-${name}`
}
