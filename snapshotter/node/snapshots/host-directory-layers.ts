/**
 * The `ThinLayers` for recipes whose layers are all directories of the host, such as CVMFS's
 * recipes. They need no FUSE. This class fetches nothing. It stores only links on the local disk.
 */
import { directoryOfLayerUrl, type Recipe, textFromLayerUrl } from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'
import type { HostDirectories } from './host-directories.js'
import type {
  LowerDirectory,
  RestoreOptions,
  ThinLayer,
  ThinLayerPlace,
  ThinLayers,
  Usage,
} from './thin-layers.js'

export class HostDirectoryLayers implements ThinLayers {
  readonly #directories: HostDirectories
  /** How many snapshots use each directory, by its path. */
  readonly #uses = new Map<string, number>()

  constructor(directories: HostDirectories) {
    this.#directories = directories
  }

  async restore(layers: readonly ThinLayer[], options: RestoreOptions = {}): Promise<void> {
    for (const layer of layers) this.#count(layer, 1)
    if (options.keepsOthers !== true) await this.#directories.keepOnly(this.#uses)
  }

  async register(recipe: Recipe, place: ThinLayerPlace, signal: AbortSignal): Promise<ThinLayer> {
    const layers: LowerDirectory[] = []
    for (const { digest, url } of recipe.layers) {
      const directory = directoryOfLayerUrl(url)
      if (directory === undefined) {
        const message = `layer ${digest}: a "${url.kind}:" layer is not a directory of this host`
        throw new SnapshotterError('failed-precondition', message)
      }
      const image = place.image ?? recipe.origin
      const attempt = `image ${image}, layer ${digest}, ${textFromLayerUrl(url)}`
      const path = await this.#directories.realPathOf(directory, attempt, signal)
      layers.unshift({ kind: 'directory', path })
    }
    const layer: ThinLayer = { kind: 'layers', layers }
    // Count the layer before making its links, so that no `release` meanwhile removes them.
    this.#count(layer, 1)
    try {
      await this.lowerdirs(layer, signal)
    } catch (error) {
      await this.release(layer)
      throw error
    }
    return layer
  }

  async lowerdirs(layer: ThinLayer, signal: AbortSignal): Promise<readonly string[]> {
    const lowerdirs: string[] = []
    for (const lower of lowersOf(layer)) {
      if (lower.kind === 'tree') {
        const message = `tree ${lower.tree} cannot be served: no tree server is configured`
        throw new SnapshotterError('failed-precondition', message)
      }
      const attempt = `layer directory ${lower.path}`
      lowerdirs.push(await this.#directories.lowerdirOf(lower.path, attempt, signal))
    }
    return lowerdirs
  }

  async release(layer: ThinLayer): Promise<void> {
    this.#count(layer, -1)
    await this.#directories.keepOnly(this.#uses)
  }

  /** Only the links count as usage. The directories belong to the host. */
  async usage(layer: ThinLayer): Promise<Usage> {
    return Promise.resolve({ sizeBytes: 0, inodes: directoriesOf(layer).length })
  }

  #count(layer: ThinLayer, change: 1 | -1): void {
    for (const path of directoriesOf(layer)) {
      const uses = (this.#uses.get(path) ?? 0) + change
      if (uses > 0) this.#uses.set(path, uses)
      else this.#uses.delete(path)
    }
  }
}

function directoriesOf(layer: ThinLayer): string[] {
  const paths = lowersOf(layer).flatMap((lower) => (lower.kind === 'directory' ? lower.path : []))
  return [...new Set(paths)]
}

function lowersOf(layer: ThinLayer): readonly LowerDirectory[] {
  return layer.kind === 'merged' ? [{ kind: 'tree', tree: layer.tree }] : layer.layers
}
