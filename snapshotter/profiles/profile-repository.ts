/**
 * Reads and writes profiles beside an image in a repository. Clients that know the image find its
 * profiles as referrers (distribution-spec 1.1), or by the tag `sha256-<hex>` in registries without
 * the referrers API. Nodes that know only the index find them by a tag made of its digest.
 */
import { type Digest, digestOf, hexOf, type Profile } from '../../index-format/index.js'
import { SnapshotterError } from '../errors.js'
import {
  boundedContent,
  type Descriptor,
  descriptorToJson,
  OCI_INDEX,
  OCI_MANIFEST,
  parseManifest,
  type Repository,
  THIN_PROFILE,
  THIN_PROFILES,
} from '../images/registry/index.js'
import {
  MAX_SHARED_PROFILE_BYTES,
  type ProfileArtifact,
  profileLayers,
  profileOfLayer,
  profileTag,
} from './profile-artifact.js'

/**
 * The profiles under the tag of `index`; `undefined` if the tag does not exist. Throws the
 * registry's errors, and `invalid-content` if the artifact is not for `index`.
 */
export async function readProfiles(
  repository: Repository,
  index: Digest,
  signal: AbortSignal,
): Promise<Profile[] | undefined> {
  const tag = profileTag(index)
  const where = `${tag} of ${repository.name}`
  const found = await orUndefined(repository.manifest(tag, signal))
  if (found === undefined) return undefined
  const profiles: Profile[] = []
  for (const layer of profileLayers(found.bytes, index, where)) {
    const { digest, sizeBytes } = layer
    const blob = { mediaType: THIN_PROFILE, digest, sizeBytes }
    const bytes =
      layer.data ??
      (await boundedContent(repository.blob(blob, signal), MAX_SHARED_PROFILE_BYTES, where))
    profiles.push(profileOfLayer(layer, bytes, where))
  }
  return profiles
}

/**
 * Writes an artifact under the tag of `index`, and returns the digest of its manifest. If `subject`
 * is in this repository, the artifact also becomes a referrer of it.
 */
export async function writeProfiles(
  repository: Repository,
  artifact: ProfileArtifact,
  to: { index: Digest; subject: Descriptor | undefined },
  signal: AbortSignal,
): Promise<Digest> {
  for (const { digest, bytes } of artifact.blobs) {
    if ((await repository.blobSize(digest, signal)) !== undefined) continue
    await repository.putBlob({ digest, sizeBytes: bytes.length, open: () => bytes }, signal)
  }
  const manifest = { mediaType: OCI_MANIFEST, bytes: artifact.manifest }
  const digest = await repository.putManifest(profileTag(to.index), manifest, signal)
  if (
    to.subject !== undefined &&
    !(await repository.knowsReferrer(to.subject.digest, digest, signal))
  ) {
    await addReferrer(repository, to.subject.digest, artifact.manifest, signal)
  }
  return digest
}

/**
 * Adds the artifact to the list of referrers that is kept under a tag in registries without the
 * referrers API.
 */
async function addReferrer(
  repository: Repository,
  subject: Digest,
  manifest: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  const tag = `sha256-${hexOf(subject)}`
  const before = await orUndefined(repository.manifest(tag, signal))
  const list = before && parseManifest(before.bytes, before.descriptor.mediaType, tag)
  // Keep only one artifact of ours in the list. The new artifact replaces the old one, because it
  // contains the profiles of the old one that are still wanted.
  const others = list?.kind === 'index' ? list.manifests.filter(isOthers) : []
  const own: Descriptor = {
    mediaType: OCI_MANIFEST,
    artifactType: THIN_PROFILES,
    digest: digestOf(manifest),
    sizeBytes: manifest.length,
  }
  const manifests = [...others, own].map(descriptorToJson)
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests }
  const bytes = Buffer.from(JSON.stringify(index))
  await repository.putManifest(tag, { mediaType: OCI_INDEX, bytes }, signal)
}

function isOthers({ artifactType }: Descriptor): boolean {
  return artifactType !== THIN_PROFILES
}

async function orUndefined<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof SnapshotterError && error.code === 'not-found') return undefined
    throw error
  }
}
