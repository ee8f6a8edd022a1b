/** What people write for SOURCE, and the source it stands for. */
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
  /** Where a compressed archive is unpacked to. */
  readonly tempFolder: string
}

/**
 * Opens `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:NAME]`,
 * `[docker://]REFERENCE`, or a path (which begins with `/` or `.`) of a folder or an archive. The
 * caller closes the source; the connection stays the caller's.
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
      // Docker 25 and later write both forms into one archive; the OCI one says more.
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
