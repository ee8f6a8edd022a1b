/** The media types of OCI image-spec 1.1 and Docker's schema 2 that images are made of. */

export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json'
export const OCI_LAYER_TAR = 'application/vnd.oci.image.layer.v1.tar'
export const OCI_LAYER_GZIP = 'application/vnd.oci.image.layer.v1.tar+gzip'
/** A blob of this type is `{}` (image-spec, manifest.md, "Guidance for an Empty Descriptor"). */
export const OCI_EMPTY = 'application/vnd.oci.empty.v1+json'
export const DOCKER_MANIFEST_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'

/** Types of this project: the content manifest of a thin image, its packs and its indexes. */
export const THIN_CONTENT = 'application/vnd.thin-snapshotter.content.v1+json'
export const THIN_PACK = 'application/vnd.thin-snapshotter.pack.v1'
export const THIN_INDEX = 'application/vnd.thin-snapshotter.index.v1.sqlite3+zstd'

/**
 * Types of this project: an artifact that holds profiles of a thin image and has the image as its
 * subject, and a single profile in it.
 */
export const THIN_PROFILES = 'application/vnd.thin-snapshotter.profiles.v1+json'
export const THIN_PROFILE = 'application/vnd.thin-snapshotter.profile.v1+json'

/** The types that a request for a manifest of any kind accepts. */
export const MANIFEST_TYPES: readonly string[] = [
  OCI_INDEX,
  OCI_MANIFEST,
  DOCKER_MANIFEST_LIST,
  DOCKER_MANIFEST,
]

/** Whether this is the type of an image index: a list of manifests, one for each platform. */
export function isIndexType(mediaType: string): boolean {
  return mediaType === OCI_INDEX || mediaType === DOCKER_MANIFEST_LIST
}

export function isManifestType(mediaType: string): boolean {
  return mediaType === OCI_MANIFEST || mediaType === DOCKER_MANIFEST
}
