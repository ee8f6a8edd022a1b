/** Opens the destination that a DESTINATION argument names. */
import { stat } from 'node:fs/promises'
import { SnapshotterError } from '../errors.js'
import { type RegistryConnection, parseReference } from './registry/index.js'
import { ArchiveDestination } from './archive-destination.js'
import { splitImageLocation } from './image-location.js'
import { LayoutDestination } from './layout-destination.js'
import { RegistryDestination } from './registry-destination.js'

export type OpenedDestination =
  | { readonly kind: 'registry'; readonly destination: RegistryDestination }
  | { readonly kind: 'layout'; readonly destination: LayoutDestination }
  | { readonly kind: 'archive'; readonly destination: ArchiveDestination }

export interface OpenDestinationOptions {
  /** The name of the image in an archive, where DESTINATION has none. */
  readonly defaultImageName: string | undefined
}

/**
 * Opens `oci:DIR[:TAG]`, `oci-archive:FILE[:NAME]`, `[docker://]REFERENCE`, or a path, which begins
 * with `/` or `.`. A path of an existing file is an archive. A path that does not exist is an
 * archive if it ends in `.tar`. Any other path is a folder. Throws `invalid-argument` for a
 * destination that cannot be written. The caller closes the destination and the connection.
 */
export async function openImageDestination(
  text: string,
  options: OpenDestinationOptions,
  modules: { connection: RegistryConnection },
): Promise<OpenedDestination> {
  const location = splitImageLocation(text)
  switch (location.kind) {
    case 'registry': {
      const reference = parseReference(location.reference)
      return { kind: 'registry', destination: RegistryDestination.open(reference, modules) }
    }
    case 'oci':
      return openFolder(location.path, location.tag)
    case 'oci-archive':
      return openArchive(location.path, location.tag, options)
    case 'docker-archive':
      throw new SnapshotterError(
        'invalid-argument',
        `destination "${text.slice(0, 200)}": thin images are OCI images; write oci-archive:FILE`,
      )
    case 'path': {
      const found = await stat(location.path).catch(() => undefined)
      const archive = found === undefined ? location.path.endsWith('.tar') : found.isFile()
      return archive
        ? openArchive(location.path, location.tag, options)
        : openFolder(location.path, location.tag)
    }
  }
}

async function openFolder(path: string, tag: string | undefined): Promise<OpenedDestination> {
  return { kind: 'layout', destination: await LayoutDestination.open(path, tag ?? 'latest') }
}

function openArchive(
  path: string,
  name: string | undefined,
  options: OpenDestinationOptions,
): OpenedDestination {
  const imageName = name ?? options.defaultImageName
  if (imageName === undefined) {
    throw new SnapshotterError(
      'invalid-argument',
      `destination ${path}: an archive needs the image's name; write oci-archive:${path}:NAME:TAG`,
    )
  }
  return { kind: 'archive', destination: new ArchiveDestination(path, imageName) }
}
