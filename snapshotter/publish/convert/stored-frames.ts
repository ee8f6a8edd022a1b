/**
 * Reads published content back from the store. A start is packed or guessed after its content has
 * been stored.
 */
import { mkdir, rm } from 'node:fs/promises'
import {
  ContentStore as FrameStore,
  createContentStats,
  createHttpAgent,
  DEFAULT_HTTP_LIMITS,
  type Log,
  sourceFromUrl,
} from '../../../fusefs/index.js'
import { Index, type ReadPack } from '../../../index-format/index.js'
import type { RegistryConnection } from '../../images/registry/index.js'
import { fetchIndex } from './index-blob.js'
import type { LayerConverterModules } from './layer-converter.js'
import type { KnownIndex } from './publish-database.js'

export interface StartupModules extends LayerConverterModules {
  readonly connection: RegistryConnection
}

/**
 * Calls `use` with a function that reads from the packs in the store. Each frame is verified.
 * Fetched frames are cached in a folder of the workspace.
 */
export async function withStoredFrames<T>(
  { store, connection, workspace, signal }: StartupModules,
  use: (read: ReadPack) => Promise<T>,
): Promise<T> {
  const stats = createContentStats()
  const agent = createHttpAgent({ limits: DEFAULT_HTTP_LIMITS })
  const { authorizer } = connection
  const cacheDir = workspace.file('frames')
  await mkdir(cacheDir)
  // Read where this process writes (`store.name`). Nodes may read from another place (`store.url`).
  const source = sourceFromUrl({ url: store.name }, { authorizer, agent, log: SILENT, stats })
  const frames = await FrameStore.open({ cacheDir }, { log: SILENT, stats })
  try {
    return await use((pack, rawOffset, target) =>
      frames.read({ pack, rawOffset, target, source }, signal),
    )
  } finally {
    await frames.close()
    await source.close()
    await agent.destroy()
  }
}

/**
 * Fetches an index from the store into a temporary file, and calls `use` with the open index.
 * Closes the index and deletes the file afterwards.
 */
export async function withStoredIndex<T>(
  known: KnownIndex,
  { store, workspace, signal }: StartupModules,
  use: (index: Index) => Promise<T>,
): Promise<T> {
  const path = workspace.file('index')
  await fetchIndex(known, path, store, signal)
  const index = Index.open(path)
  try {
    return await use(index)
  } finally {
    index.close()
    await rm(path, { force: true })
  }
}

/** Logs nothing, because failures are thrown to the caller. */
const SILENT: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
}
