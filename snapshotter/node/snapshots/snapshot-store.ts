/**
 * The store of snapshots, with the semantics of containerd's own overlayfs snapshotter. In
 * addition, the layer of a committed snapshot may be thin. As in that snapshotter, the containerd
 * namespace of a request is ignored: containerd's metadata layer makes keys unique across
 * namespaces.
 *
 * Invariant: every row of the database has its directory `<root>/snapshots/<id>`. A directory
 * without a row is an orphan, which `cleanup` removes.
 */
import { mkdir } from 'node:fs/promises'
import type { Logger } from 'pino'
import type { Mount } from '../../../proto/index.js'
import { SnapshotterError } from '../../errors.js'
import { diskUsageOf } from './disk-usage.js'
import { parseFilters } from './snapshot-filter.js'
import { KeyedLock } from '../../waiting/keyed-lock.js'
import { labelsOf, updatedLabels } from './labels.js'
import { lowersOf } from './lower-directories.js'
import { type Lower, mountsOf } from './mounts.js'
import { readRecipe } from './recipe-file.js'
import type { Kind, Snapshot } from './snapshot.js'
import type { CommitOptions, PrepareOptions, UpdateOptions } from './snapshot-options.js'
import { overlayMounts } from '../overlay-mounts.js'
import { SnapshotDatabase } from './snapshot-database.js'
import { isId, type SnapshotDirectories } from './snapshot-directories.js'
import { openDatabase, openDirectories } from './store-files.js'
import type { ThinLayer, ThinLayers, Usage } from './thin-layers.js'
import { WallClock } from './wall-clock.js'

export interface SnapshotStoreOptions {
  /** Folder of the database and the directories. Absolute path. Created where it is missing. */
  readonly root: string
  /** Options of every overlay mount, from `detectOverlayOptions()`. */
  readonly overlayOptions: readonly string[]
}

export interface SnapshotStoreModules {
  readonly log: Logger
  readonly thinLayers: ThinLayers
}

/** A parent and the lower directories of its chain. */
interface ParentLowers {
  readonly parentId: number | undefined
  readonly lowers: readonly Lower[]
}

/** containerd's CRI plugin puts the image's reference there (pkg/snapshotters/annotations.go). */
const IMAGE_REF_LABEL = 'containerd.io/snapshot/cri.image-ref'

export class SnapshotStore {
  readonly #options: SnapshotStoreOptions
  readonly #log: Logger
  readonly #thinLayers: ThinLayers
  readonly #database: SnapshotDatabase
  readonly #directories: SnapshotDirectories
  readonly #emptyDir: string
  readonly #clock = new WallClock()
  readonly #lock = new KeyedLock()
  /** Running commits, by key. Remove aborts them, so that it does not wait for the network. */
  readonly #commits = new Map<string, AbortController>()
  #closed = false
  /** The error with which every call fails. Undefined if the database can be used. */
  readonly refusal: SnapshotterError | undefined

  private constructor(
    options: SnapshotStoreOptions,
    modules: SnapshotStoreModules,
    parts: {
      database: SnapshotDatabase
      directories: SnapshotDirectories
      emptyDir: string
      refusal?: SnapshotterError
    },
  ) {
    this.refusal = parts.refusal
    this.#options = options
    this.#log = modules.log
    this.#thinLayers = modules.thinLayers
    this.#database = parts.database
    this.#directories = parts.directories
    this.#emptyDir = parts.emptyDir
  }

  /**
   * Opens the store, removes directories that an unclean stop left behind, and restores the thin
   * layers. Throws `failed-precondition` when another process has it open. The caller closes it.
   */
  static async open(
    options: SnapshotStoreOptions,
    modules: SnapshotStoreModules,
  ): Promise<SnapshotStore> {
    const attempt = `open the snapshot store ${options.root}`
    let database: SnapshotDatabase | undefined
    try {
      await mkdir(options.root, { recursive: true, mode: 0o700 })
      database = await openDatabase(options.root)
      const thin = [...database.all()].flatMap((snapshot) => snapshot.thin ?? [])
      const store = new SnapshotStore(options, modules, {
        database,
        ...(await openDirectories(options.root)),
      })
      const keepsOthers = await store.#removeOrphans()
      await modules.thinLayers.restore(thin, ...(keepsOthers ? [{ keepsOthers }] : []))
      return store
    } catch (error) {
      database?.close()
      throw SnapshotterError.from(error, attempt)
    }
  }

  /**
   * As `open`, except if the database is damaged or missing. That is then logged, and the calls of
   * the store all fail with `refusal`. Such a store removes no tree and no directory, so that
   * running containers go on.
   */
  static async openOrRefuse(
    options: SnapshotStoreOptions,
    modules: SnapshotStoreModules,
  ): Promise<SnapshotStore> {
    try {
      return await SnapshotStore.open(options, modules)
    } catch (error) {
      if (error instanceof SnapshotterError && error.code === 'failed-precondition') throw error
      const { message } = SnapshotterError.from(error, 'open the snapshot store')
      const refusal = new SnapshotterError(
        'failed-precondition',
        `${message}; containers that run go on, but nothing can be pulled or started: run "thinctl repair"`,
        { cause: error },
      )
      modules.log.error({ err: error }, refusal.message)
      await modules.thinLayers.restore([], { keepsOthers: true })
      const parts = await openDirectories(options.root)
      const database = SnapshotDatabase.open(':memory:')
      return new SnapshotStore(options, modules, { database, ...parts, refusal })
    }
  }

  /** Aborts running commits, waits for changes under way, closes the database. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true
    for (const commit of this.#commits.values()) commit.abort(new Error('the daemon stops'))
    await this.#lock.idle()
    this.#database.close()
  }

  /**
   * Makes an active snapshot, which a container can write to, and returns its mounts. Throws
   * `already-exists`, `not-found` (the parent), `invalid-argument` (an empty key, or a parent that
   * is not committed), and what `ThinLayers.lowerdirs` throws.
   */
  async prepare(options: PrepareOptions, signal: AbortSignal): Promise<Mount[]> {
    return this.#create('active', options, signal)
  }

  /** Makes a read-only snapshot and returns its mounts. Throws as `prepare` does. */
  async view(options: PrepareOptions, signal: AbortSignal): Promise<Mount[]> {
    return this.#create('view', options, signal)
  }

  /**
   * The mounts of an active snapshot or a view. Throws `not-found`, and `failed-precondition` for a
   * committed snapshot.
   */
  async mounts(key: string, signal: AbortSignal): Promise<Mount[]> {
    this.#requireOpen()
    const [snapshot, ...parents] = this.#database.chain(key)
    if (snapshot === undefined) throw notFound(key)
    const { id, kind } = snapshot
    if (kind === 'committed') {
      const message = `snapshot "${key}" is committed: only active snapshots and views have mounts`
      throw new SnapshotterError('failed-precondition', message)
    }
    return this.#mountsOf(id, kind, await this.#lowersOf(parents, signal))
  }

  /**
   * Turns the active snapshot `key` into the committed snapshot `name`. If its layer is thin, its
   * trees are made available first. Throws `not-found`, `already-exists`, `failed-precondition`,
   * `invalid-argument`, `invalid-content` (a bad recipe), and what `ThinLayers.register` throws.
   * After an error the snapshot is still active.
   */
  async commit(options: CommitOptions, signal: AbortSignal): Promise<void> {
    this.#requireOpen()
    requireKey(options.name, 'name')
    const attempt = `commit snapshot "${options.key}" as "${options.name}"`
    await this.#lock.with([options.key, options.name], signal, async () => {
      const fetching = new AbortController()
      this.#commits.set(options.key, fetching)
      try {
        await this.#commitAlone(options, AbortSignal.any([signal, fetching.signal]))
      } catch (error) {
        throw SnapshotterError.from(error, attempt)
      } finally {
        this.#commits.delete(options.key)
      }
    })
  }

  /**
   * Removes a snapshot and its directory. A running commit of the snapshot is aborted. Throws
   * `not-found`, and `failed-precondition` when the snapshot has children.
   */
  async remove(key: string, signal: AbortSignal): Promise<void> {
    this.#requireOpen()
    this.#commits.get(key)?.abort(new Error(`snapshot "${key}" is being removed`))
    await this.#lock.with([key], signal, async () => {
      this.#requireOpen()
      const snapshot = this.#database.transaction(() => {
        const found = this.#get(key)
        if (this.#database.hasChildren(found.id)) {
          const message = `cannot remove snapshot "${key}": other snapshots have it as parent`
          throw new SnapshotterError('failed-precondition', message)
        }
        this.#database.remove(found.id)
        return found
      })
      // The key is free from here on. A directory that cannot be removed is left for cleanup, as in
      // containerd.
      await this.#orLog(`remove the directory of snapshot ${snapshot.id}`, () =>
        this.#directories.remove(snapshot.id),
      )
      if (snapshot.thin !== undefined) await this.#release(snapshot.thin)
    })
  }

  /** The snapshot `key`. Throws `not-found`. */
  stat(key: string): Snapshot {
    this.#requireOpen()
    return this.#get(key)
  }

  /** Changes labels. Throws `not-found`, and `invalid-argument` for a path other than labels. */
  update(options: UpdateOptions): Snapshot {
    this.#requireOpen()
    return this.#database.transaction(() => {
      const { id, labels } = this.#get(options.key)
      const changed = updatedLabels(options, labels)
      this.#database.update(id, changed, this.#clock.nowNs())
      return this.#get(options.key)
    })
  }

  /**
   * The snapshots that match any of the filters, oldest first. Without filters, all snapshots. The
   * list shows the state at one moment. Throws `invalid-argument` for text that is no filter.
   */
  list(filters: readonly string[]): Snapshot[] {
    this.#requireOpen()
    const matches = parseFilters(filters)
    const found: Snapshot[] = []
    for (const snapshot of this.#database.all()) if (matches(snapshot)) found.push(snapshot)
    return found
  }

  /** The directory of the files that belong to a snapshot alone: an overlay's upper directory. */
  fsOf(id: number): string {
    return this.#directories.fsOf(id)
  }

  /**
   * The space that a snapshot takes on the local disk, without its parents. An active snapshot is
   * measured now; a committed one was measured at commit. A thin one adds its content that is in
   * the cache now.
   */
  async usage(key: string, signal: AbortSignal): Promise<Usage> {
    this.#requireOpen()
    const { id, kind, usage, thin } = this.#get(key)
    try {
      if (kind === 'active') return await diskUsageOf(this.#directories.fsOf(id), signal)
      if (thin === undefined) return usage
      const fetched = await this.#thinLayers.usage(thin)
      return {
        sizeBytes: usage.sizeBytes + fetched.sizeBytes,
        inodes: usage.inodes + fetched.inodes,
      }
    } catch (error) {
      throw SnapshotterError.from(error, `measure snapshot "${key}"`)
    }
  }

  /** Removes directories that belong to no snapshot. Logs those that cannot be removed. */
  async cleanup(): Promise<void> {
    this.#requireOpen()
    await this.#removeOrphans()
  }

  /**
   * Removes directories that belong to no snapshot. After a repair, a container may run on a
   * snapshot that the database does not know. Then directories whose name is an id stay. Returns
   * whether they stay.
   */
  async #removeOrphans(): Promise<boolean> {
    const orphans = await this.#directories.orphans(() => this.#database.ids())
    const keepsIds = orphans.some(isId) && (await this.#hasUnknownContainers())
    for (const name of orphans) {
      if (keepsIds && isId(name)) continue
      await this.#orLog(`remove the orphaned directory ${name}`, () =>
        this.#directories.removeOrphan(name),
      )
    }
    return keepsIds
  }

  /** Whether an overlay is mounted whose upper directory belongs to no snapshot of the database. */
  async #hasUnknownContainers(): Promise<boolean> {
    const ids = this.#database.ids()
    return (await overlayMounts()).some(({ upperDirectory }) => {
      const id = this.#directories.idOf(upperDirectory ?? '')
      return id !== undefined && !ids.has(id)
    })
  }

  async #create(
    kind: 'active' | 'view',
    options: PrepareOptions,
    signal: AbortSignal,
  ): Promise<Mount[]> {
    this.#requireOpen()
    requireKey(options.key, 'key')
    return this.#lock.with([options.key], signal, async () => {
      this.#requireOpen()
      const parent = await this.#parentLowers(options.parent, signal)
      const temporary = this.#directories.create(kind)
      let id: number | undefined
      try {
        this.#database.transaction(() => {
          id = this.#insert(kind, options, parent.parentId)
          this.#directories.settle(temporary, id, parent.parentId)
        })
      } catch (error) {
        this.#directories.discard(temporary)
        if (id !== undefined && !this.#database.ids().has(id)) await this.#directories.remove(id)
        throw SnapshotterError.from(error, `create snapshot "${options.key}"`)
      }
      if (id === undefined) throw new SnapshotterError('internal', 'a transaction did not run')
      return this.#mountsOf(id, kind, parent)
    })
  }

  /** Repeats the checks and inserts the row. Runs in a transaction. */
  #insert(kind: 'active' | 'view', options: PrepareOptions, parentId: number | undefined): number {
    const { key, labels } = options
    if (this.#database.get(key) !== undefined) {
      throw new SnapshotterError('already-exists', `snapshot "${key}" exists already`)
    }
    if (this.#parentIdOf(options.parent, 'invalid-argument') !== parentId) {
      const message = `snapshot "${options.parent ?? ''}" was replaced meanwhile; try again`
      throw new SnapshotterError('unavailable', message)
    }
    const timeNs = this.#clock.nowNs()
    return this.#database.insert({ key, kind, parentId, labels: labelsOf(labels), timeNs })
  }

  async #commitAlone(options: CommitOptions, signal: AbortSignal): Promise<void> {
    this.#requireOpen()
    const { id, labels: prepared, parent } = this.#committable(options)
    const fsDir = this.#directories.fsOf(id)
    const recipe = readRecipe(fsDir, this.#log)
    const usage = await diskUsageOf(fsDir, signal)
    const hasParent = (parent ?? options.parent) !== undefined
    const image = options.labels[IMAGE_REF_LABEL] ?? prepared[IMAGE_REF_LABEL]
    const place = { fsDir, hasParent, image }
    const thin = recipe && (await this.#thinLayers.register(recipe, place, signal))
    try {
      this.#database.transaction(() => {
        const active = this.#committable(options)
        const parentId = this.#parentIdOf(active.parent ?? options.parent, 'failed-precondition')
        const labels = labelsOf(options.labels)
        const timeNs = this.#clock.nowNs()
        this.#database.commit({ id, name: options.name, parentId, labels, timeNs, usage, thin })
      })
    } catch (error) {
      if (thin !== undefined) await this.#release(thin)
      throw error
    }
  }

  /** The active snapshot `options.key`. Throws unless `options` allow to commit it. */
  #committable(options: CommitOptions): Snapshot {
    const snapshot = this.#get(options.key)
    if (this.#database.get(options.name) !== undefined) {
      throw new SnapshotterError('already-exists', `snapshot "${options.name}" exists already`)
    }
    if (snapshot.kind !== 'active') {
      const message = `snapshot "${options.key}" is not active but ${snapshot.kind}`
      throw new SnapshotterError('failed-precondition', message)
    }
    const { parent } = snapshot
    if (parent !== undefined && options.parent !== undefined && parent !== options.parent) {
      const message = `snapshot "${options.key}" has the parent "${parent}", which "${options.parent}" cannot replace`
      throw new SnapshotterError('invalid-argument', message)
    }
    return snapshot
  }

  /** The id of the committed snapshot `parent`. Throws `wrongKind` where it is not committed. */
  #parentIdOf(
    parent: string | undefined,
    wrongKind: 'invalid-argument' | 'failed-precondition',
  ): number | undefined {
    if (parent === undefined) return undefined
    const snapshot = this.#database.get(parent)
    if (snapshot === undefined) {
      throw new SnapshotterError('not-found', `parent snapshot "${parent}" does not exist`)
    }
    if (snapshot.kind === 'committed') return snapshot.id
    throw new SnapshotterError(wrongKind, `parent snapshot "${parent}" is not committed`)
  }

  async #parentLowers(parent: string | undefined, signal: AbortSignal): Promise<ParentLowers> {
    const parentId = this.#parentIdOf(parent, 'invalid-argument')
    if (parent === undefined || parentId === undefined) return { parentId: undefined, lowers: [] }
    return this.#lowersOf(this.#database.chain(parent), signal)
  }

  /** `chain`: the parent, then its ancestors. */
  async #lowersOf(chain: readonly Snapshot[], signal: AbortSignal): Promise<ParentLowers> {
    const modules = { directories: this.#directories, thinLayers: this.#thinLayers }
    return { parentId: chain[0]?.id, lowers: await lowersOf(chain, modules, signal) }
  }

  #mountsOf(id: number, kind: Exclude<Kind, 'committed'>, parent: ParentLowers): Mount[] {
    return mountsOf({
      kind,
      fsDir: this.#directories.fsOf(id),
      workDir: this.#directories.workOf(id),
      hasParent: parent.parentId !== undefined,
      lowers: parent.lowers,
      emptyDir: this.#emptyDir,
      overlayOptions: this.#options.overlayOptions,
    })
  }

  #get(key: string): Snapshot {
    const snapshot = this.#database.get(key)
    if (snapshot === undefined) throw notFound(key)
    return snapshot
  }

  async #release(thin: ThinLayer): Promise<void> {
    await this.#orLog('release a thin layer', () => this.#thinLayers.release(thin))
  }

  async #orLog(attempt: string, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.#log.warn({ err: error }, `could not ${attempt}`)
    }
  }

  #requireOpen(): void {
    if (this.#closed) throw new SnapshotterError('unavailable', 'the daemon is stopping')
    if (this.refusal !== undefined) throw this.refusal
  }
}

function requireKey(key: string, what: 'key' | 'name'): void {
  if (key === '')
    throw new SnapshotterError('invalid-argument', `the ${what} of a snapshot is empty`)
}

function notFound(key: string): SnapshotterError {
  return new SnapshotterError('not-found', `snapshot "${key}" does not exist`)
}
