/**
 * Writes and reads profiles as an OCI artifact: a manifest with one layer for each profile, whose
 * subject is the thin image. The manifest itself holds small profiles (`data`, image-spec
 * descriptor.md), so that one request brings them. Every profile is a blob as well.
 */
import {
  bytesFromProfile,
  type Digest,
  digestOf,
  hexOf,
  type Profile,
  profileFromBytes,
} from '../../index-format/index.js'
import { SnapshotterError } from '../errors.js'
import {
  type Descriptor,
  descriptorToJson,
  JsonObject,
  MAX_MANIFEST_BYTES,
  OCI_EMPTY,
  OCI_MANIFEST,
  THIN_PROFILE,
  THIN_PROFILES,
} from '../images/registry/index.js'

export interface ProfileBlob {
  readonly digest: Digest
  readonly bytes: Uint8Array
}

/** The manifest and blobs to write to a registry. Write the blobs first. */
export interface ProfileArtifact {
  readonly manifest: Uint8Array
  readonly blobs: readonly ProfileBlob[]
}

/** One profile, as the artifact's manifest describes it. */
export interface ProfileLayer {
  readonly digest: Digest
  readonly sizeBytes: number
  /** The profile's bytes if the manifest holds them. Not verified. */
  readonly data: Uint8Array | undefined
}

/** Annotation of the manifest: the digest of the index that its profiles are for. */
const INDEX_ANNOTATION = 'org.thin-snapshotter.index'
/** Profiles that may be shared for one image. */
export const MAX_SHARED_PROFILES = 32
/** Bytes of one profile that may be shared, and that a node fetches. */
export const MAX_SHARED_PROFILE_BYTES = 4 * 1024 * 1024
/** Bytes of profiles that a manifest holds. In base64 they take a third of MAX_MANIFEST_BYTES. */
const MAX_INLINE_BYTES = MAX_MANIFEST_BYTES / 4
const EMPTY = Buffer.from('{}')

/** The tag under which nodes look for profiles. A node knows the index, but not the image. */
export function profileTag(index: Digest): string {
  return `thin-profile-${hexOf(index)}`
}

/**
 * Builds the artifact. Equal profiles and subjects give equal bytes. Throws `invalid-argument` if
 * there are no profiles, too many, or too large ones.
 */
export function profileArtifact(
  profiles: readonly Profile[],
  to: { index: Digest; subject: Descriptor },
): ProfileArtifact {
  if (profiles.length === 0 || profiles.length > MAX_SHARED_PROFILES) {
    const message = `${profiles.length} profiles; 1 to ${MAX_SHARED_PROFILES} can be shared`
    throw new SnapshotterError('invalid-argument', message)
  }
  let inlineBytes = 0
  const blobs: ProfileBlob[] = [{ digest: digestOf(EMPTY), bytes: EMPTY }]
  const layers = profiles.map((profile) => {
    const bytes = bytesFromProfile({ ...profile, index: to.index })
    if (bytes.length > MAX_SHARED_PROFILE_BYTES) {
      const message = `a profile of ${bytes.length} bytes; at most ${MAX_SHARED_PROFILE_BYTES} are shared`
      throw new SnapshotterError('invalid-argument', message)
    }
    const descriptor = { mediaType: THIN_PROFILE, digest: digestOf(bytes), sizeBytes: bytes.length }
    blobs.push({ digest: descriptor.digest, bytes })
    const isInline = inlineBytes + bytes.length <= MAX_INLINE_BYTES
    if (isInline) inlineBytes += bytes.length
    const data = isInline && { data: Buffer.from(bytes).toString('base64') }
    return { ...descriptorToJson(descriptor), ...data }
  })
  const { mediaType, digest, sizeBytes } = to.subject
  const config = { mediaType: OCI_EMPTY, digest: digestOf(EMPTY), sizeBytes: EMPTY.length }
  const json = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    artifactType: THIN_PROFILES,
    config: descriptorToJson(config),
    layers,
    subject: descriptorToJson({ mediaType, digest, sizeBytes }),
    annotations: { [INDEX_ANNOTATION]: to.index },
  }
  return { manifest: Buffer.from(JSON.stringify(json)), blobs }
}

/**
 * The profiles in a manifest. Throws `invalid-content` if the manifest holds no profiles for
 * `index`.
 */
export function profileLayers(manifest: Uint8Array, index: Digest, where: string): ProfileLayer[] {
  const json = JsonObject.parse(manifest, where)
  const isOurs = json.optionalString('artifactType') === THIN_PROFILES
  if (!isOurs || json.optionalStringMap('annotations')?.[INDEX_ANNOTATION] !== index) {
    throw new SnapshotterError('invalid-content', `${where}: holds no profiles of index ${index}`)
  }
  return json.objects('layers', MAX_SHARED_PROFILES).map((layer) => {
    const data = layer.optionalString('data')
    return {
      digest: layer.digest('digest'),
      sizeBytes: layer.size('size', MAX_SHARED_PROFILE_BYTES),
      data: data === undefined ? undefined : Buffer.from(data, 'base64'),
    }
  })
}

/**
 * The profile in a layer's bytes. Throws `invalid-content` if the bytes do not have the layer's
 * digest.
 */
export function profileOfLayer(layer: ProfileLayer, bytes: Uint8Array, where: string): Profile {
  const found = digestOf(bytes)
  if (found === layer.digest) return profileFromBytes(bytes)
  throw new SnapshotterError('invalid-content', `${where}: ${layer.digest} has digest ${found}`)
}
