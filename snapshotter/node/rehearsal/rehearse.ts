/**
 * Pulls, starts and removes a tiny image before the daemon listens for containerd. JavaScript code
 * is slow when it runs for the first time: without this, compiling gRPC messages, parsers and loops
 * takes 100 to 200 ms of the first image's start, which may take 400 ms in all. The tiny image
 * takes the same path as any other: gRPC, index, FUSE, HTTP, decompression, cache.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import type { Digest } from '../../../index-format/index.js'
import type { MountsResponse } from '../../../proto/index.js'
import { SnapshotterError } from '../../errors.js'
import { StoreServer } from '../../serve/index.js'
import { SnapshotsServer, type SnapshotsServerModules } from '../service/snapshots-server.js'
import { makeRehearsalImage, type RehearsalImage } from './rehearsal-image.js'
import { SnapshotsCaller } from './snapshots-caller.js'

/** Start of the keys of rehearsal snapshots. containerd's begin with a namespace and a number. */
export const REHEARSAL_KEY_PREFIX = 'thin-snapshotter-rehearsal/'

/**
 * A rehearsal's folder, as mkdtemp(3) names it. The name is short, because the folder holds a
 * socket and the path of a socket must be short.
 */
const FOLDER_PREFIX = 'r-'
const FOLDER_NAME = /^r-[A-Za-z0-9]{6}$/

export interface RehearsalOptions {
  /**
   * An existing folder for temporary files. Its path must be short enough for a unix socket in it.
   */
  readonly state: string
  /** How often the image is pulled and started. */
  readonly rounds: number
}

export interface RehearsalModules {
  readonly store: SnapshotsServerModules['store']
  readonly log: Logger
  /** Removes a pack from the local cache. */
  readonly forget: (pack: Digest) => void
  /** Allows stores below a URL, until the returned function is called. */
  readonly admit: (storePrefix: string) => () => void
}

/** The methods of a snapshot store that `clearRehearsals` needs. */
export interface ClearableStore {
  list(filters: readonly string[]): readonly { readonly id: number; readonly key: string }[]
  remove(key: string, signal: AbortSignal): Promise<void>
}

/**
 * Removes the snapshots and folders that earlier rehearsals have left. A rehearsal leaves them if
 * it was killed, or if its calls were answered late.
 */
export async function clearRehearsals(
  options: Pick<RehearsalOptions, 'state'>,
  modules: { store: ClearableStore },
): Promise<void> {
  const { store } = modules
  // Children have greater ids than their parents.
  const left = store
    .list([])
    .filter(({ key }) => key.startsWith(REHEARSAL_KEY_PREFIX))
    .sort((a, b) => b.id - a.id)
  for (const { key } of left) await store.remove(key, new AbortController().signal)
  for (const name of await readdir(options.state)) {
    if (FOLDER_NAME.test(name))
      await rm(join(options.state, name), { recursive: true, force: true })
  }
}

/**
 * Pulls, starts and removes the tiny image `rounds` times. Rejects with the first error. A snapshot
 * can then be left, if a call was answered too late. `clearRehearsals` removes it.
 */
export async function rehearse(
  options: RehearsalOptions,
  modules: RehearsalModules,
): Promise<void> {
  const folder = await mkdtemp(join(options.state, FOLDER_PREFIX))
  const closers: (() => Promise<void> | void)[] = [
    () => rm(folder, { recursive: true, force: true }),
  ]
  try {
    const { store, log } = modules
    const address = join(folder, 's')
    const server = await SnapshotsServer.start({ address }, { store, log })
    closers.push(() => server.close())
    const caller = new SnapshotsCaller({ address })
    closers.push(() => {
      caller.close()
    })
    const blobs = await StoreServer.start({ folder }, { log })
    closers.push(() => blobs.close())
    closers.push(modules.admit(`oci+${blobs.url}/`))
    for (let round = 0; round < options.rounds; round++) {
      const image = await makeRehearsalImage(folder, `oci+${blobs.url}/rehearsal`)
      closers.push(() => {
        for (const pack of image.packs) modules.forget(pack)
      })
      await pullAndStart(image, caller)
      await rm(join(folder, 'index'))
    }
  } finally {
    for (const close of closers.reverse()) await close()
  }
}

/** Makes the calls that `ctr images pull` and `ctr run` cause, then removes the snapshots. */
async function pullAndStart(image: RehearsalImage, caller: SnapshotsCaller): Promise<void> {
  const name = `${REHEARSAL_KEY_PREFIX}${randomBytes(8).toString('hex')}`
  const unpacking = `${name}-extract`
  const container = `${name}-container`
  try {
    const { mounts } = await caller.prepare(unpacking, '')
    const fsDir = mounts[0]?.source ?? ''
    for (const [file, bytes] of image.layer) await writeFile(join(fsDir, file), bytes)
    await caller.commit(name, unpacking)
    await caller.stat(name)
    await caller.prepare(container, name)
    const tree = lowerdirOf(await caller.mounts(container))
    for (const [file, bytes] of image.files) {
      if ((await readFile(join(tree, file))).equals(bytes)) continue
      throw new SnapshotterError('internal', `the rehearsal read something else in ${tree}`)
    }
  } catch (error) {
    // A call that was not answered in time may have made its snapshot. So all keys are removed.
    for (const key of [container, name, unpacking]) {
      await caller.remove(key).catch(() => undefined)
    }
    throw error
  }
  for (const key of [container, name]) await caller.remove(key)
}

function lowerdirOf({ mounts }: MountsResponse): string {
  const option = mounts[0]?.options.find((one) => one.startsWith('lowerdir='))
  if (option !== undefined) return option.slice('lowerdir='.length)
  throw new SnapshotterError('internal', 'the rehearsal has no lower directory')
}
