/**
 * One pack on disk: a sparse file in the pack's uncompressed address space, and a state for each
 * frame, in memory shared with the dispatcher threads. Invariants: a state becomes "present" only
 * after the frame's verified bytes are in the file. After the mirror is retired, no state is set
 * again.
 */
import { closeSync, constants, fdatasyncSync, fstatSync, ftruncateSync, openSync } from 'node:fs'
import type { PackTable } from '../../../index-format/index.js'
import { FRAME_ABSENT, FRAME_CLAIMED, FRAME_PRESENT, type MirrorShared } from '../mirror-view.js'
import { readFully, writeFully } from './fd-io.js'
import { type MirrorState, readMirrorState, writeMirrorState } from './mirror-state.js'

export interface PackMirrorOptions {
  readonly id: string
  readonly pack: PackTable
  /** Path of the pack's files without `.raw` and `.state`. */
  readonly path: string
  /** Whether the files are from this process or from one that ended cleanly. */
  readonly trusted: boolean
  /** Whether bytes in the file may not be on the disk yet. */
  readonly unsynced: boolean
  /** Called with each change of `presentBytes` after the mirror was opened. */
  readonly onPresentBytes: (delta: number) => void
}

export class PackMirror {
  readonly shared: MirrorShared
  readonly #options: PackMirrorOptions
  readonly #state: Uint8Array
  #presentBytes: number
  #lastUsedMs: number
  #isOpen = true
  #unsaved: boolean
  #unsynced: boolean

  private constructor(options: PackMirrorOptions, fd: number, state: MirrorState | undefined) {
    const { frames, rawSizeBytes, digest } = options.pack
    const rawOffsets = new SharedArrayBuffer(8 * (frames.length + 1))
    const offsets = new Float64Array(rawOffsets)
    frames.forEach((frame, i) => (offsets[i] = frame.rawOffset))
    offsets[frames.length] = rawSizeBytes
    const states = new SharedArrayBuffer(frames.length + 2)
    this.#options = options
    this.#unsynced = options.unsynced
    this.#state = new Uint8Array(states)
    this.#state[frames.length] = 1
    this.shared = { id: options.id, digest, fd, rawOffsets, state: states }
    this.#presentBytes = 0
    this.#lastUsedMs = state?.lastUsedMs ?? Date.now()
    this.#unsaved = state === undefined
    if (state !== undefined) this.#adopt(state, fd)
  }

  /**
   * Opens the mirror, or creates an empty one. Throws what open(2) and ftruncate(2) throw. The
   * caller closes it.
   */
  static open(options: PackMirrorOptions): PackMirror {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW
    const fd = openSync(`${options.path}.raw`, flags, 0o600)
    try {
      const saved = readMirrorState(`${options.path}.state`, options.id)
      const { frames, rawSizeBytes } = options.pack
      const usable = saved?.present.length === frames.length && fstatSync(fd).size === rawSizeBytes
      if (!usable) {
        ftruncateSync(fd, 0)
        ftruncateSync(fd, rawSizeBytes)
      }
      return new PackMirror(options, fd, usable ? saved : undefined)
    } catch (error) {
      closeSync(fd)
      throw error
    }
  }

  /** Uncompressed bytes of the frames in the file, verified or claimed. */
  get presentBytes(): number {
    return this.#presentBytes
  }

  /** Whether bytes were written since the last durable `save`. They may not be on the disk yet. */
  get isUnsynced(): boolean {
    return this.#unsynced
  }

  /** Whether a state of a frame changed since the last `save`. */
  get isUnsaved(): boolean {
    return this.#unsaved
  }

  /** Time of the last use, in milliseconds since 1970. Reads by dispatcher threads are included. */
  lastUsedMs(): number {
    const touched = this.#options.pack.frames.length + 1
    if (Atomics.exchange(this.#state, touched, 0) === 1) this.touch()
    return this.#lastUsedMs
  }

  touch(): void {
    this.#lastUsedMs = Date.now()
  }

  stateOf(frameIndex: number): number {
    return Atomics.load(this.#state, frameIndex)
  }

  /** Reads bytes, verified or not. False when the file is too short. Throws what read(2) throws. */
  async readInto(target: Uint8Array, rawOffset: number): Promise<boolean> {
    return readFully(this.shared.fd, target, rawOffset)
  }

  /** Writes consecutive verified frames, then marks them present. Throws what write(2) throws. */
  async write(firstFrame: number, raws: readonly Uint8Array[]): Promise<void> {
    const rawOffset = this.#options.pack.frames[firstFrame]?.rawOffset ?? 0
    this.#unsynced = true
    await writeFully(this.shared.fd, raws, rawOffset)
    raws.forEach((_, i) => {
      this.markPresent(firstFrame + i)
    })
  }

  /** Call this when the frame's bytes in the file are verified. */
  markPresent(frameIndex: number): void {
    if (!this.#isOpen) return
    if (this.stateOf(frameIndex) === FRAME_ABSENT) this.#count(this.#rawSize(frameIndex))
    Atomics.store(this.#state, frameIndex, FRAME_PRESENT)
    this.#unsaved = true
  }

  /** Call this when the frame's bytes in the file are unusable. */
  markAbsent(frameIndex: number): void {
    if (this.stateOf(frameIndex) === FRAME_ABSENT) return
    Atomics.store(this.#state, frameIndex, FRAME_ABSENT)
    this.#count(-this.#rawSize(frameIndex))
    this.#unsaved = true
  }

  /** Saves which frames are present. With `durable`, the bytes of both files are synced to disk. */
  save(options: { durable: boolean }): void {
    const { id, path, pack } = this.#options
    if (options.durable && this.#unsynced) fdatasyncSync(this.shared.fd)
    const { mtimeNs, ino } = fstatSync(this.shared.fd, { bigint: true })
    const present = new Uint8Array(pack.frames.length)
    // A frame that is still claimed must be verified by the next process, too. With the file's
    // mtime the next process would trust it, so 0 is saved instead.
    let isClaimed = false
    for (let i = 0; i < present.length; i++) {
      const state = this.stateOf(i)
      if (state !== FRAME_ABSENT) present[i] = FRAME_PRESENT
      if (state === FRAME_CLAIMED) isClaimed = true
    }
    const state: MirrorState = {
      rawSizeBytes: pack.rawSizeBytes,
      presentBytes: this.#presentBytes,
      lastUsedMs: this.lastUsedMs(),
      mtimeNs: isClaimed ? 0n : mtimeNs,
      ino,
      present,
    }
    writeMirrorState({ path: `${path}.state`, id, state, durable: options.durable })
    this.#unsaved = false
    if (options.durable) this.#unsynced = false
  }

  /**
   * Makes every frame absent to readers, for good. The file stays open for readers in the middle of
   * a read.
   */
  retire(): void {
    this.#isOpen = false
    for (let i = 0; i <= this.#options.pack.frames.length; i++) Atomics.store(this.#state, i, 0)
  }

  /**
   * Frees the blocks of a retired mirror while its file is still open. A reader in the middle of a
   * read gets too few bytes or none, and then sees that the mirror is retired.
   */
  free(): void {
    ftruncateSync(this.shared.fd, 0)
  }

  /** Closes the file of a retired mirror. Call this once. */
  close(): void {
    closeSync(this.shared.fd)
  }

  #adopt(state: MirrorState, fd: number): void {
    const { mtimeNs, ino } = fstatSync(fd, { bigint: true })
    const believed = this.#options.trusted && state.mtimeNs === mtimeNs && state.ino === ino
    state.present.forEach((present, i) => {
      if (present !== FRAME_PRESENT) return
      this.#state[i] = believed ? FRAME_PRESENT : FRAME_CLAIMED
      this.#presentBytes += this.#rawSize(i)
    })
  }

  #count(delta: number): void {
    this.#presentBytes += delta
    this.#options.onPresentBytes(delta)
  }

  #rawSize(frameIndex: number): number {
    return this.#options.pack.frames[frameIndex]?.rawSizeBytes ?? 0
  }
}
