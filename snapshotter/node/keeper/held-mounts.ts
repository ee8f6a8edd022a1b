/** The FUSE mounts that a keeper holds, with their descriptors and what was negotiated over each. */
import { type FileHandle, mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { NegotiatedInit } from '../../../fusefs/index.js'
import { mountFuse, unmountFuse } from '../../../fusefs/mounting.js'
import { SnapshotterError } from '../../errors.js'
import type { KeptMount } from './keeper-protocol.js'
import { RootLock } from './root-lock.js'

/** A mount as its daemon gets it. */
export interface HeldMount {
  readonly name: string
  readonly mountpoint: string
  readonly handle: FileHandle
  /** What the first daemon negotiated; absent until then. */
  negotiated: NegotiatedInit | undefined
}

export class HeldMounts {
  readonly #mounts = new Map<string, HeldMount>()
  /** By root directory. */
  readonly #locks = new Map<string, RootLock>()

  /**
   * Mounts what is missing of `wanted`. Throws `failed-precondition` when a name is held at another
   * mountpoint or another keeper has the root, `mount-failed` when mounting fails; what was held
   * before is then unchanged, and nothing else is held.
   */
  async hold(wanted: readonly KeptMount[]): Promise<void> {
    for (const { name, mountpoint } of wanted) {
      const held = this.#mounts.get(name)
      if (held === undefined || held.mountpoint === mountpoint) continue
      throw new SnapshotterError(
        'failed-precondition',
        `keeper: holds ${name} at ${held.mountpoint}, was asked for ${mountpoint}; shut it down first`,
      )
    }
    const known = new Set(this.#mounts.keys())
    try {
      for (const mount of wanted) {
        await this.#lock(dirname(mount.mountpoint))
        if (!this.#mounts.has(mount.name)) await this.#mount(mount)
      }
    } catch (error) {
      for (const held of [...this.#mounts.values()]) {
        if (!known.has(held.name)) await this.#release(held)
      }
      await this.#unlockUnused()
      throw error
    }
  }

  /** The mounts with these names, in this order. */
  named(names: readonly string[]): HeldMount[] {
    return names.flatMap((name) => this.#mounts.get(name) ?? [])
  }

  /** The locks of all roots: a daemon shares them. */
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

  /** Unmounts everything and gives the roots free. Idempotent. */
  async release(): Promise<void> {
    for (const mount of [...this.#mounts.values()]) await this.#release(mount)
    await this.#unlockUnused()
  }

  async #mount({ name, mountpoint }: KeptMount): Promise<void> {
    // A mount that nobody holds any more answers every call with ENOTCONN; only its remains are left.
    await mkdir(mountpoint, { recursive: true, mode: 0o700 })
    await unmountFuse(mountpoint)
    const { handle } = await mountFuse({ mountpoint, fsName: `thin-${name}` })
    this.#mounts.set(name, { name, mountpoint, handle, negotiated: undefined })
  }

  async #release({ name, mountpoint, handle }: HeldMount): Promise<void> {
    await unmountFuse(mountpoint)
    // The last descriptor: whatever still waits for an answer gets ENOTCONN.
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
