/**
 * Finds the containers whose files died with a keeper. The superblock below their overlay has no
 * server and never gets one again: every read that the page cache does not answer fails with
 * ENOTCONN. They have to be started again.
 */
import type { TreeClass } from '../../../fusefs/index.js'
import type { InheritedFuse } from '../fuse-servers.js'
import { overlayMounts, type OverlayMount } from '../overlay-mounts.js'
import type { Snapshot } from '../snapshots/snapshot.js'
import type { ThinLayer } from '../snapshots/thin-layers.js'

export interface LostContainer {
  /** Key of its snapshot. */
  readonly snapshot: string
  readonly mountpoint: string
}

export interface LostContainersModules {
  readonly inherited: readonly InheritedFuse[]
  /** All snapshots of the node. */
  readonly snapshots: readonly Snapshot[]
  /** The directory of a snapshot's own files. */
  readonly fsOf: (id: number) => string
  /** The classes of the trees of a thin layer. */
  readonly classesOf: (layer: ThinLayer) => readonly TreeClass[]
}

/**
 * Returns the containers on thin snapshots whose overlay is older than the FUSE mount of their
 * trees. A FUSE mount is new if no INIT has been negotiated over it: no daemon has served it yet.
 * Returns none if the keeper has not died, because its mounts are then not new.
 */
export async function lostContainers(modules: LostContainersModules): Promise<LostContainer[]> {
  const { inherited, snapshots } = modules
  const fresh = new Set(
    inherited.flatMap(({ class: one, negotiated }) => (negotiated === undefined ? [one] : [])),
  )
  if (fresh.size === 0 || snapshots.length === 0) return []
  const byUpper = new Map(snapshots.map((one) => [modules.fsOf(one.id), one]))
  const byKey = new Map(snapshots.map((one) => [one.key, one]))
  return (await overlayMounts()).flatMap(({ mountpoint, upperDirectory }: OverlayMount) => {
    const snapshot = byUpper.get(upperDirectory ?? '')
    if (snapshot === undefined) return []
    for (let one: Snapshot | undefined = snapshot; one; one = byKey.get(one.parent ?? '')) {
      const classes = one.thin === undefined ? [] : modules.classesOf(one.thin)
      if (classes.some((used) => fresh.has(used))) return [{ snapshot: snapshot.key, mountpoint }]
    }
    return []
  })
}
