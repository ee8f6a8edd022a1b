/** Opens the store that people name with `--store`. */
import { fileURLToPath } from 'node:url'
import { SnapshotterError } from '../../errors.js'
import type { OpenedDestination } from '../../images/index.js'
import { type RegistryConnection, parseRepository } from '../../images/registry/index.js'
import type { PublishStore } from './publish-store.js'
import { FolderStore } from './folder-store.js'
import { RegistryStore } from './registry-store.js'

export interface OpenStoreOptions {
  /**
   * A folder, `file:///folder` or `oci+https://host/repository`. Default: the place of the image.
   */
  readonly store: string | undefined
  /** URL for recipes. Default: the URL to which this process writes. */
  readonly storeUrl: string | undefined
}

const URL_SCHEMES = /^(?:oci\+https?|https?|file):\/\//

/**
 * Opens the store for content. Throws `invalid-argument` for a store or URL that cannot be used.
 * The caller closes the store.
 */
export async function openContentStore(
  options: OpenStoreOptions,
  destination: OpenedDestination,
  modules: { connection: RegistryConnection },
): Promise<PublishStore> {
  const { store, storeUrl } = options
  if (storeUrl !== undefined) checkStoreUrl(storeUrl)
  if (store === undefined) return storeOfDestination(destination, storeUrl)
  const registry = /^oci\+(https?):\/\/(.+)$/.exec(store)
  if (registry !== null) {
    const [, scheme = '', rest = ''] = registry
    const { registry: host, repository } = parseRepository(rest)
    const plainHttp = scheme === 'http'
    return new RegistryStore(modules.connection.repository(host, repository, plainHttp), storeUrl)
  }
  if (store.startsWith('file://')) return FolderStore.open(pathOf(store), storeUrl)
  if (/^https?:\/\//.test(store)) {
    throw new SnapshotterError(
      'invalid-argument',
      `store ${store}: a static HTTP server takes no uploads; write into the folder it serves with ` +
        `--store DIR --store-url ${store}`,
    )
  }
  return FolderStore.open(store, storeUrl)
}

function storeOfDestination(
  destination: OpenedDestination,
  storeUrl: string | undefined,
): PublishStore | Promise<PublishStore> {
  switch (destination.kind) {
    case 'registry':
      return new RegistryStore(destination.destination.repository, storeUrl)
    case 'layout':
      return FolderStore.open(destination.destination.folder, storeUrl)
    case 'archive':
      throw new SnapshotterError(
        'invalid-argument',
        `${destination.destination.name}: an archive holds the image, but not its content; say ` +
          'where that goes with --store DIR or --store oci+https://host/repository',
      )
  }
}

function checkStoreUrl(url: string): void {
  if (!URL_SCHEMES.test(url) || !URL.canParse(url)) {
    throw new SnapshotterError(
      'invalid-argument',
      `store URL "${url.slice(0, 200)}": expected oci+https://host/repository, https://host/path/ ` +
        'or file:///folder',
    )
  }
  const { username, password } = new URL(url)
  if (username !== '' || password !== '') {
    throw new SnapshotterError(
      'invalid-argument',
      'store URL: everybody who pulls the image can read it, so it must not hold credentials',
    )
  }
}

function pathOf(url: string): string {
  try {
    return fileURLToPath(url)
  } catch (cause) {
    throw new SnapshotterError('invalid-argument', `store ${url}: not a local folder`, { cause })
  }
}
