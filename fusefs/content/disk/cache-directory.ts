/**
 * The folder of the disk tier: which packs have mirrors, how many bytes these hold, and which pack
 * is evicted first.
 *
 *   <cacheDir>/lock                        locked by the one process that uses the folder
 *   <cacheDir>/packs-v1/clean              exists while no process runs, if the last ended cleanly
 *   <cacheDir>/packs-v1/ab/<id>.raw        a mirror (pack-mirror.ts)
 *   <cacheDir>/packs-v1/ab/<id>.state      which of its frames are present (mirror-state.ts)
 *
 * Invariant: bytes that are written after a `reserve` never raise `usageBytes` above `maxBytes`.
 */
import { chmodSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Digest, hexOf, isDigest, type PackTable } from '../../../index-format/index.js'
import { FusefsError } from '../../errors.js'
import type { ContentStats } from '../content-stats.js'
import type { FaultLog } from '../fault-log.js'
import type { ContentLimits } from '../content-limits.js'
import { CacheLock } from './cache-lock.js'
import { readMirrorState } from './mirror-state.js'
import { PackMirror } from './pack-mirror.js'
import { syncPath } from './sync-path.js'

/** One pack of the disk tier, as a status command shows it. */
export interface CachedPack {
  readonly id: string
  readonly digest: Digest
  /** Uncompressed bytes on disk. */
  readonly presentBytes: number
  /** Time of the last use, in milliseconds since 1970. */
  readonly lastUsedMs: number
}

interface Slot {
  readonly id: string
  /** Path of the pack's files without `.raw` and `.state`. */
  readonly path: string
  mirror: PackMirror | undefined
  /** Number of reads and writes under way. A pack with pins is not evicted. */
  pins: number
  /** Present bytes and time of last use, while the mirror is not open. */
  closedBytes: number
  closedLastUsedMs: number
  /** Whether the saved state is from this process or from one that ended cleanly. */
  trusted: boolean
  /** Whether the mirror was closed, by this process, with bytes that may not be on the disk yet. */
  unsynced: boolean
}

const ID = /^([0-9a-f]{64})-[0-9a-f]{64}$/
const DIRECTORY = 'packs-v1'

interface Modules {
  readonly faults: FaultLog
  readonly stats: ContentStats
}

export class CacheDirectory {
  readonly #root: string
  readonly #limits: ContentLimits
  readonly #faults: FaultLog
  readonly #stats: ContentStats
  readonly #lock: CacheLock
  readonly #slots = new Map<string, Slot>()
  readonly #retired = new Map<PackMirror, NodeJS.Timeout>()
  #usageBytes = 0
  #reservedBytes = 0
  /** Bytes of `maxBytes` that files other than packs take. */
  #outsideBytes = 0
  #openMirrors = 0
  #isClosed = false

  private constructor(root: string, limits: ContentLimits, lock: CacheLock, modules: Modules) {
    this.#root = root
    this.#limits = limits
    this.#lock = lock
    this.#faults = modules.faults
    this.#stats = modules.stats
  }

  /**
   * Opens the folder, created if missing, and evicts packs down to `maxBytes`. Throws `cache-io`
   * when the folder cannot be used, or is used by another process. The caller closes it.
   */
  static open(
    options: { cacheDir: string; limits: ContentLimits },
    modules: Modules,
  ): CacheDirectory {
    const root = join(options.cacheDir, DIRECTORY)
    let lock: CacheLock | undefined
    try {
      mkdirSync(root, { recursive: true, mode: 0o700 })
      // An existing folder may be open to other users. Packs hold files of private images.
      chmodSync(root, 0o700)
      lock = CacheLock.take(join(options.cacheDir, 'lock'))
      const directory = new CacheDirectory(root, options.limits, lock, modules)
      directory.#scan(takeCleanMarker(root))
      directory.#evictDownTo(options.limits.maxBytes)
      return directory
    } catch (cause) {
      lock?.release()
      if (cause instanceof FusefsError) throw cause
      const message = `cannot use ${options.cacheDir} as a cache: it must be a writable folder`
      throw new FusefsError('cache-io', message, { cause })
    }
  }

  /** Uncompressed bytes on disk. */
  get usageBytes(): number {
    return this.#usageBytes
  }

  /** The bytes that packs may take. */
  get #maxBytes(): number {
    return this.#limits.maxBytes - this.#outsideBytes
  }

  packs(): CachedPack[] {
    return [...this.#slots.values()].map((slot) => ({
      id: slot.id,
      digest: digestOfId(slot.id),
      presentBytes: slot.mirror?.presentBytes ?? slot.closedBytes,
      lastUsedMs: lastUsedMs(slot),
    }))
  }

  /** Whether the mirror of a pack is open, so that `mirror` cannot fail. */
  isOpen(id: string): boolean {
    return this.#slots.get(id)?.mirror !== undefined
  }

  /** The mirror of a pack, opened or created. Throws `cache-io`. */
  mirror(id: string, pack: PackTable): PackMirror {
    const slot = this.#slot(id)
    if (slot.mirror !== undefined) {
      slot.mirror.touch()
      return slot.mirror
    }
    if (this.#slots.size > this.#limits.maxPacks) this.evictOne()
    this.#closeSurplus()
    try {
      mkdirSync(join(this.#root, id.slice(0, 2)), { recursive: true, mode: 0o700 })
      const onPresentBytes = (delta: number): void => {
        this.#usageBytes += delta
      }
      const { path, trusted, unsynced } = slot
      slot.mirror = PackMirror.open({ id, pack, path, trusted, unsynced, onPresentBytes })
      slot.unsynced = false
    } catch (cause) {
      if (slot.closedBytes === 0) this.#slots.delete(id)
      throw new FusefsError('cache-io', `cannot open the mirror ${slot.path}.raw`, { cause })
    }
    this.#usageBytes += slot.mirror.presentBytes - slot.closedBytes
    this.#openMirrors++
    slot.mirror.touch()
    return slot.mirror
  }

  /** Keeps a pack from being evicted until `unpin`. Pins are counted. */
  pin(id: string): void {
    this.#slot(id).pins++
  }

  unpin(id: string): void {
    const slot = this.#slots.get(id)
    if (slot === undefined) return
    slot.pins--
    if (slot.pins === 0 && slot.mirror === undefined && slot.closedBytes === 0) {
      this.#slots.delete(id)
    }
  }

  /** Sets bytes aside for a write, evicting other packs. False when there is still no room. */
  reserve(bytes: number): boolean {
    const room = this.#maxBytes - this.#reservedBytes - bytes
    if (room < 0) return false
    if (this.#usageBytes > room) {
      // Evict a little more than necessary, so that the next write need not evict again.
      this.#evictDownTo(Math.max(0, room - this.#maxBytes / 64))
    }
    if (this.#usageBytes > room) return false
    this.#reservedBytes += bytes
    return true
  }

  /** Leaves `bytes` of `maxBytes` to other files. Evicts packs until they fit in the rest. */
  setOutsideBytes(bytes: number): void {
    this.#outsideBytes = bytes
    this.#evictDownTo(Math.max(0, this.#maxBytes - this.#reservedBytes))
  }

  /** Ends a reservation, whether or not the write took place. */
  release(bytes: number): void {
    this.#reservedBytes -= bytes
  }

  /** Evicts the least recently used pack, for example when the disk is full. */
  evictOne(): void {
    const victim = this.#victims()[0]
    if (victim !== undefined) this.#evict(victim)
  }

  /** Evicts the mirrors of a pack, except those in use. Returns the uncompressed bytes freed. */
  remove(digest: Digest): number {
    const before = this.#usageBytes
    for (const slot of this.#victims()) {
      if (digestOfId(slot.id) === digest) this.#evict(slot)
    }
    return before - this.#usageBytes
  }

  /** Saves which frames are present, for the packs for which that changed. */
  save(options: { durable: boolean }): void {
    for (const slot of this.#slots.values()) {
      // Records the time of reads that dispatchers made since the last call. A later call would
      // give these reads a later time.
      slot.mirror?.lastUsedMs()
      if (slot.mirror?.isUnsaved === true) this.#save(slot, slot.mirror, options)
    }
  }

  /** Saves everything and marks the cache clean. No read or write may be under way. Idempotent. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const slot of this.#slots.values()) {
      if (slot.unsynced) this.#syncClosed(slot)
      if (slot.mirror === undefined) continue
      this.#save(slot, slot.mirror, { durable: true })
      slot.mirror.retire()
      slot.mirror.close()
    }
    for (const [mirror, timer] of this.#retired) {
      clearTimeout(timer)
      mirror.close()
    }
    this.#retired.clear()
    try {
      writeFileSync(join(this.#root, 'clean'), '', { mode: 0o600, flush: true })
      syncPath(this.#root)
    } catch (error) {
      this.#noteDiskFailure(this.#root, error)
    }
    this.#lock.release()
  }

  #slot(id: string): Slot {
    const known = this.#slots.get(id)
    if (known !== undefined) return known
    const slot: Slot = {
      id,
      path: join(this.#root, id.slice(0, 2), id),
      mirror: undefined,
      pins: 0,
      closedBytes: 0,
      closedLastUsedMs: Date.now(),
      trusted: false,
      unsynced: false,
    }
    this.#slots.set(id, slot)
    return slot
  }

  /**
   * Syncs the files of a mirror that was closed without a sync. Otherwise, after a power failure,
   * the marker of a clean stop would vouch for bytes that never reached the disk.
   */
  #syncClosed(slot: Slot): void {
    try {
      for (const ending of ['.raw', '.state']) syncPath(`${slot.path}${ending}`)
      syncPath(dirname(slot.path))
      slot.unsynced = false
    } catch (error) {
      this.#noteDiskFailure(slot.path, error)
      // Without a state file, the next process treats the mirror as empty.
      removeFile(`${slot.path}.state`)
    }
  }

  #save(slot: Slot, mirror: PackMirror, options: { durable: boolean }): boolean {
    try {
      mirror.save(options)
      return true
    } catch (error) {
      this.#noteDiskFailure(slot.path, error)
      return false
    }
  }

  #noteDiskFailure(path: string, error: unknown): void {
    this.#stats.diskFailures++
    const message = 'cannot save the state of the cache: frames will be verified again'
    this.#faults.note({ subject: path, cause: 'save', error, message })
  }

  #victims(): Slot[] {
    const idle = [...this.#slots.values()].filter((slot) => slot.pins === 0)
    return idle.sort((a, b) => lastUsedMs(a) - lastUsedMs(b))
  }

  #evictDownTo(bytes: number): void {
    if (this.#usageBytes <= bytes) return
    for (const slot of this.#victims()) {
      this.#evict(slot)
      if (this.#usageBytes <= bytes) return
    }
  }

  #evict(slot: Slot): void {
    this.#usageBytes -= slot.mirror?.presentBytes ?? slot.closedBytes
    this.#slots.delete(slot.id)
    this.#stats.evictions++
    const { mirror } = slot
    this.#retire(slot)
    // Remove the state first, because a mirror without a state counts as empty.
    removeFile(`${slot.path}.state`)
    removeFile(`${slot.path}.raw`)
    try {
      mirror?.free()
    } catch (error) {
      const message = 'the blocks of an evicted pack are freed only later'
      this.#faults.note({ subject: slot.path, cause: 'evict', error, message })
    }
  }

  /** Retires a mirror. Its descriptor stays open for readers in the middle of a read. */
  #retire(slot: Slot): void {
    const { mirror } = slot
    if (mirror === undefined) return
    slot.mirror = undefined
    this.#openMirrors--
    mirror.retire()
    const timer = setTimeout(() => {
      this.#retired.delete(mirror)
      mirror.close()
    }, this.#limits.retireDelayMs)
    timer.unref()
    this.#retired.set(mirror, timer)
  }

  /** When too many mirrors are open, closes the least recently used ones and keeps their files. */
  #closeSurplus(): void {
    if (this.#openMirrors < this.#limits.maxOpenMirrors) return
    const surplus = Math.ceil(this.#limits.maxOpenMirrors / 16)
    const open = this.#victims().filter((slot) => slot.mirror !== undefined)
    for (const slot of open.slice(0, surplus)) {
      const { mirror } = slot
      if (mirror === undefined) continue
      slot.trusted = this.#save(slot, mirror, { durable: false })
      slot.unsynced = mirror.isUnsynced
      slot.closedBytes = mirror.presentBytes
      slot.closedLastUsedMs = mirror.lastUsedMs()
      this.#retire(slot)
    }
  }

  /** Registers the mirrors that an earlier process left, and removes files that cannot be used. */
  #scan(trusted: boolean): void {
    for (const shard of readdirSync(this.#root, { withFileTypes: true })) {
      if (!shard.isDirectory() || !/^[0-9a-f]{2}$/.test(shard.name)) continue
      const names = new Set(readdirSync(join(this.#root, shard.name)))
      for (const name of names) {
        const id = name.replace(/\.(?:raw|state)$/, '')
        const isMirror = ID.test(id) && names.has(`${id}.raw`) && names.has(`${id}.state`)
        const path = join(this.#root, shard.name, id)
        const state = isMirror ? readMirrorState(`${path}.state`, id) : undefined
        if (state === undefined) {
          removeFile(join(this.#root, shard.name, name))
          continue
        }
        if (this.#slots.has(id)) continue
        const slot = this.#slot(id)
        slot.closedBytes = state.presentBytes
        slot.closedLastUsedMs = state.lastUsedMs
        slot.trusted = trusted
        this.#usageBytes += state.presentBytes
      }
    }
  }
}

function lastUsedMs(slot: Slot): number {
  return slot.mirror?.lastUsedMs() ?? slot.closedLastUsedMs
}

function digestOfId(id: string): Digest {
  const digest = `sha256:${ID.exec(id)?.[1] ?? ''}`
  if (isDigest(digest)) return digest
  throw new FusefsError('cache-io', `"${id}" is not the id of a mirror`)
}

/** The id of the mirror of a pack, from the digests of the pack and of its frame table. */
export function mirrorIdOf(pack: Digest, table: Digest): string {
  return `${hexOf(pack)}-${hexOf(table)}`
}

/** Whether the last process ended cleanly. Removes the marker of that; `close` creates it again. */
function takeCleanMarker(root: string): boolean {
  const clean = readdirSync(root).includes('clean')
  if (clean) {
    rmSync(join(root, 'clean'))
    syncPath(root)
  }
  return clean
}

/** Removes a file of the cache. If that fails, the next start tries again. */
function removeFile(path: string): void {
  try {
    rmSync(path, { force: true })
  } catch {
    return
  }
}
