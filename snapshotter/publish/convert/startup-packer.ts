/**
 * Gives an image its startup packs. The content that the profiles name is read from the packs in
 * the store and written into new packs in access order. A new merged index refers to the new packs.
 * Inode numbers stay, because the tree is the same and is walked in the same order.
 */
import { rm } from 'node:fs/promises'
import {
  bytesFromStartupPages,
  bytesFromStartupPlan,
  combinedRanges,
  directoriesOf,
  type Extent,
  extentsWithStartup,
  type Index,
  isProfileOf,
  packStartup,
  type PackTable,
  pathsOf,
  type Profile,
  type ReadPack,
  startupContent,
  type StartupContent,
  type StartupPacks,
  startupPagesOf,
  type StartupPiece,
  type StartupPlan,
  writeIndex,
} from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'
import { compressStartupIndex, fetchIndex } from './index-blob.js'
import { packsOf } from './layer-converter.js'
import type { MergedIndex, PublishedStartup } from './merged-index.js'
import { PackSpool } from './pack-spool.js'
import { type StartupModules, withStoredFrames, withStoredIndex } from './stored-frames.js'

export interface StartupIndex extends MergedIndex {
  readonly startup: PublishedStartup
}

/**
 * zstd level of startup packs. They are small, are written once, and every start waits for them.
 */
const STARTUP_LEVEL = 19
/**
 * If the startup pages save fewer bytes than this, the whole index travels. Then the node has to
 * fetch no rest, and nothing waits for one.
 */
const MIN_SAVED_BYTES = 64 * 1024
/**
 * More startup pages than this are not published: such a start looks nearly everywhere in the
 * index.
 */
const MAX_PAGES_BYTES = 16 * 1024 * 1024

/**
 * Stores startup packs for the profiles, and a merged index that refers to them. Returns
 * `undefined` if the profiles name no stored content. Throws `invalid-argument` if a profile names
 * files that this tree does not have.
 */
export async function addStartup(
  merged: MergedIndex,
  profiles: readonly [Profile, ...Profile[]],
  modules: StartupModules,
): Promise<StartupIndex | undefined> {
  return withStoredIndex(merged.index, modules, async (index) => {
    for (const profile of profiles) refuseOthersProfile(index, profile)
    const content = startupContent(index, { ranges: combinedRanges(profiles) })
    if (content.pieces.length === 0) return undefined
    const startup = await withStoredFrames(modules, (read) =>
      pack(content, { index, read }, modules),
    )
    const starts = profiles.map(({ commands }) => ({ commands }))
    const looks = directoriesOf(profiles)
    return publish(index, content, { ...startup, starts, ...looks }, modules)
  })
}

function refuseOthersProfile(index: Index, profile: Profile): void {
  if (isProfileOf(index, profile)) return
  throw new SnapshotterError(
    'invalid-argument',
    `the profile of ${profile.index} names files that this image does not have: it was recorded ` +
      'with another image or platform',
  )
}

async function pack(
  content: StartupContent,
  { index, read }: { index: Index; read: ReadPack },
  { compressor, publisher, workspace, signal }: StartupModules,
): Promise<StartupPacks> {
  const tables = new Map<number, PackTable>()
  const tableOf = (key: number): PackTable => {
    const table = tables.get(key) ?? index.packTable(key)
    tables.set(key, table)
    return table
  }
  return packStartup(content, {
    read: (key, rawOffset, target) => read(tableOf(key), rawOffset, target),
    compressor,
    level: STARTUP_LEVEL,
    openPack: () => new PackSpool(workspace.file('pack'), (file) => publisher.send(file)),
    signal,
  })
}

async function publish(
  index: Index,
  content: StartupContent,
  startup: StartupPacks & Pick<StartupPlan, 'starts' | 'directories'>,
  modules: StartupModules,
): Promise<StartupIndex> {
  const { publisher, workspace, signal } = modules
  const path = workspace.file('index')
  try {
    const written = writeIndex(index, {
      path,
      kind: 'merged',
      ...startupExtents(index, content, startup, packsLeft(index, content)),
      signal,
    })
    const blob = await compressStartupIndex(path, workspace.file('blob'), signal)
    await distrustDamaged({ ...written, xattrs: written.meta.xattrs, blob }, modules)
    await publisher.send(blob)
    await publisher.settle()
    const runs = content.pieces.map(({ ino, offset, length, starts = 1 }) => {
      return { ino, offset, length, starts }
    })
    const paths = pathsOf(
      index,
      runs.map(({ ino }) => ino),
    )
    const { directories, packs } = startup
    const plan = bytesFromStartupPlan({ ...startup, runs, paths })
    const isAsked = directories !== undefined && !written.meta.xattrs
    const pages = isAsked ? startupPages(path, { directories, files: paths }, blob) : undefined
    return {
      index: {
        digest: written.digest,
        sizeBytes: written.sizeBytes,
        blob: { digest: blob.digest, sizeBytes: blob.sizeBytes },
        xattrs: written.meta.xattrs,
      },
      packs: packsOf(path),
      reused: false,
      startup: {
        plan,
        packs: packs.map(({ digest, sizeBytes }) => ({ digest, sizeBytes })),
        ...(pages !== undefined && { pages }),
      },
    }
  } finally {
    await rm(path, { force: true })
  }
}

/**
 * The serialized startup pages of the index at `path`. `undefined` if they are larger than
 * MAX_PAGES_BYTES, or not smaller than the index's blob by more than MIN_SAVED_BYTES.
 */
function startupPages(
  path: string,
  start: Parameters<typeof startupPagesOf>[1],
  blob: { readonly sizeBytes: number },
): Uint8Array | undefined {
  const pages = startupPagesOf(path, start)
  if (pages.bytes.length > MAX_PAGES_BYTES) return undefined
  const bytes = bytesFromStartupPages(pages)
  return bytes.length + MIN_SAVED_BYTES < blob.sizeBytes ? bytes : undefined
}

/** If the store has a blob for the index already and its bytes are wrong, has it sent again. */
async function distrustDamaged(
  index: Parameters<typeof fetchIndex>[0],
  { publisher, store, workspace, signal }: StartupModules,
): Promise<void> {
  if ((await store.blobSize(index.blob.digest, signal)) === undefined) return
  const path = workspace.file('index')
  if (!(await fetchIndex(index, path, store, signal))) publisher.distrust(index.blob.digest)
  await rm(path, { force: true })
}

/**
 * Keys of the packs that hold needed content even after the pieces have moved. Older startup packs
 * are not among them.
 */
function packsLeft(index: Index, content: StartupContent): Set<number> {
  const movedOf = new Map<string, number>()
  for (const { ino, length, source } of content.pieces) {
    const key = `${ino} ${source.pack}`
    movedOf.set(key, (movedOf.get(key) ?? 0) + length)
  }
  const left = new Set<number>()
  for (let ino = 1; ino <= index.meta.inodes; ino++) {
    for (const [pack, bytes] of bytesByPack(index.extents(ino))) {
      if (bytes > (movedOf.get(`${ino} ${pack}`) ?? 0)) left.add(pack)
    }
  }
  return left
}

function bytesByPack(extents: readonly Extent[]): Map<number, number> {
  const bytes = new Map<number, number>()
  for (const { pack, length } of extents) bytes.set(pack, (bytes.get(pack) ?? 0) + length)
  return bytes
}

/**
 * Packs and extents of the new index: those of the old index, with the pieces in their new packs.
 */
function startupExtents(
  index: Index,
  content: StartupContent,
  startup: StartupPacks,
  used: ReadonlySet<number>,
): { packs: PackTable[]; extentsOf: (ino: number) => Extent[] } {
  const old = index.packs().filter(({ key }) => used.has(key))
  const positions = new Map(old.map(({ key }, position) => [key, position]))
  const packs = [...old.map(({ key }) => index.packTable(key)), ...startup.packs]
  const pieces = new Map<number, StartupPiece[]>()
  for (const piece of content.pieces) {
    const known = pieces.get(piece.ino)
    if (known === undefined) pieces.set(piece.ino, [piece])
    else known.push(piece)
  }
  const extentsOf = (ino: number): Extent[] => {
    const extents = index.extents(ino).map((extent) => {
      return { ...extent, pack: positions.get(extent.pack) ?? 0 }
    })
    const moved = pieces.get(ino)
    if (moved === undefined) return extents
    return extentsWithStartup(extents, moved, (offset) => {
      const place = startup.place(offset)
      return { ...place, pack: old.length + place.pack }
    })
  }
  return { packs, extentsOf }
}
