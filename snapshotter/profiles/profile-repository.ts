/**
 * Profiles beside an image in a repository. Whoever knows the image finds them as its referrers
 * (distribution-spec 1.1; by the tag `sha256-<hex>` in registries that do not know referrers), whoever
 * knows only the index by a tag made of it.
 */
import { type Digest, digestOf, hexOf, type Profile } from '../../index-format/index.js'
import { SnapshotterError } from '../errors.js'
import {
  boundedBody,
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

/** The profiles under the tag of `index`; `undefined` where there are none. Throws what the registry says. */
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
      (await boundedBody(repository.blob(blob, signal), MAX_SHARED_PROFILE_BYTES, where))
    profiles.push(profileOfLayer(layer, bytes, where))
  }
  return profiles
}

/** Writes an artifact under the tag of `index`, and as a referrer of `subject` where that is here, too. */
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

/** Adds to the list that stands for the referrers API where a registry has none. */
async function addReferrer(
  repository: Repository,
  subject: Digest,
  manifest: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  const tag = `sha256-${hexOf(subject)}`
  const before = await orUndefined(repository.manifest(tag, signal))
  const list = before && parseManifest(before.bytes, before.descriptor.mediaType, tag)
  // Of our own there is one at a time: the new one holds what is still good of the old one.
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
