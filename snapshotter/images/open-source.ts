/** Opens the source that a SOURCE argument names. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { SnapshotterError } from '../errors.js'
import { type RegistryConnection, parseReference } from './registry/index.js'
import { ArchiveFiles } from './archive-files.js'
import { DockerArchiveSource } from './docker-archive-source.js'
import { FolderFiles } from './folder-files.js'
import type { ImageSource } from './image-source.js'
import { splitImageLocation } from './image-location.js'
import { OciLayoutSource } from './oci-layout.js'
import { RegistrySource } from './registry-source.js'

export interface OpenSourceOptions {
  /** A compressed archive is unpacked into this folder. */
  readonly tempFolder: string
}

/**
 * Opens `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:NAME]`,
 * `[docker://]REFERENCE`, or a path of a folder or an archive, which begins with `/` or `.`. Throws
 * `not-found`, `invalid-argument` or `invalid-content`. The caller closes the source and the
 * connection.
 */
export async function openImageSource(
  text: string,
  options: OpenSourceOptions,
  modules: { connection: RegistryConnection },
  signal: AbortSignal,
): Promise<ImageSource> {
  const location = splitImageLocation(text)
  switch (location.kind) {
    case 'registry':
      return new RegistrySource(parseReference(location.reference), modules)
    case 'oci':
      return openLayout(location.path, location.tag)
    case 'oci-archive':
      return OciLayoutSource.open(
        await ArchiveFiles.open(location.path, options.tempFolder, signal),
        location.tag,
      )
    case 'docker-archive':
      return DockerArchiveSource.open(
        await ArchiveFiles.open(location.path, options.tempFolder, signal),
        location.tag,
      )
    case 'path': {
      const found = await stat(location.path).catch((cause: unknown) => {
        throw new SnapshotterError('not-found', `${location.path}: no such file or folder`, {
          cause,
        })
      })
      if (found.isDirectory()) return openLayout(location.path, location.tag)
      const files = await ArchiveFiles.open(location.path, options.tempFolder, signal)
      // Docker 25 and later write both forms into one archive. The OCI layout holds more
      // information.
      if (files.has('oci-layout')) return OciLayoutSource.open(files, location.tag)
      return DockerArchiveSource.open(files, location.tag)
    }
  }
}

async function openLayout(path: string, tag: string | undefined): Promise<ImageSource> {
  const marker = join(path, 'oci-layout')
  await stat(marker).catch((cause: unknown) => {
    throw new SnapshotterError('not-found', `${path}: not an OCI layout, it has no oci-layout`, {
      cause,
    })
  })
  return OciLayoutSource.open(new FolderFiles(path), tag)
}
