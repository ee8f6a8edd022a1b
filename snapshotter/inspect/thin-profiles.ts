/**
 * The profiles of one thin image, wherever they are: in the image, as it was optimized; beside it in
 * its registry, as somebody pushed them.
 */
import { storeUrlFromString } from '../../fusefs/index.js'
import {
  type Digest,
  type Index,
  type IndexRef,
  type Profile,
  isProfileOf,
  profilesByCommand,
} from '../../index-format/index.js'
import { SnapshotterError } from '../errors.js'
import { splitImageLocation } from '../images/index.js'
import type { ImageAccess } from './image-access.js'
import { oneImage, type PlatformImage, readPlatformImages } from './platform-images.js'
import { ThinImage } from './thin-image.js'
import { parsePlatform, parseReference, type Repository } from '../images/registry/index.js'
import { profileArtifact } from '../profiles/profile-artifact.js'
import { readProfiles, writeProfiles } from '../profiles/profile-repository.js'
import { publishedGuess, publishedProfiles } from '../profiles/published-profiles.js'

export interface ThinProfilesOptions {
  /** See `openImageSource`. */
  readonly image: string
  /** Default: that of this machine. */
  readonly platform?: string | undefined
}

export interface PushedProfiles {
  /** Of the artifact's manifest. */
  readonly digest: Digest
  /** The repositories that it is in. */
  readonly repositories: readonly string[]
  /** The commands of each profile. */
  readonly starts: readonly (readonly string[])[]
}

export class ThinProfiles {
  /** Of the merged tree. */
  readonly merged: IndexRef
  readonly #image: PlatformImage
  readonly #thin: ThinImage
  /** Where the image is, if that is a registry, and where its content is. */
  readonly #repositories: { image: Repository | undefined; store: Repository | undefined }

  private constructor(
    merged: IndexRef,
    image: PlatformImage,
    thin: ThinImage,
    repositories: { image: Repository | undefined; store: Repository | undefined },
  ) {
    this.merged = merged
    this.#image = image
    this.#thin = thin
    this.#repositories = repositories
  }

  /** The caller closes it, and later `access`. Throws `invalid-argument` for an image without merged tree. */
  static async open(
    options: ThinProfilesOptions,
    modules: { access: ImageAccess },
    signal: AbortSignal,
  ): Promise<ThinProfiles> {
    const { access } = modules
    const wanted = options.platform === undefined ? undefined : parsePlatform(options.platform)
    const source = await access.image(options.image, signal)
    const { images } = await readPlatformImages(source, wanted, signal)
    const image = oneImage(images, source.name)
    const thin = await ThinImage.open({ source, image, stores: undefined }, modules, signal)
    const merged = thin.recipe.thin?.merged
    if (merged === undefined) {
      const message = `${source.name}: its recipe has no merged tree, and so no profiles`
      throw new SnapshotterError('invalid-argument', message)
    }
    return new ThinProfiles(merged, image, thin, {
      image: imageRepository(options.image, access),
      store: storeRepository(thin.storeUrls, access),
    })
  }

  /** Those that were recorded and that the image was published with. */
  published(): Profile[] {
    const { thin } = this.#thin.recipe
    return thin === undefined ? [] : publishedProfiles(thin, this.#thin.files)
  }

  /** What the image was published with where nobody recorded anything. */
  guess(): Profile | undefined {
    const { thin } = this.#thin.recipe
    return thin && publishedGuess(thin, this.#thin.files)
  }

  /** Those that somebody pushed. */
  async shared(signal: AbortSignal): Promise<Profile[]> {
    for (const repository of this.#homes()) {
      const found = await readProfiles(repository, this.merged.digest, signal)
      if (found !== undefined) return found
    }
    return []
  }

  /** The index of the merged tree; closed with this. */
  index(signal: AbortSignal): Promise<Index> {
    const [origin = 'store'] = this.#thin.originsOf(this.merged)
    return this.#thin.index(this.merged, origin, signal)
  }

  /**
   * Shares profiles: beside those that are shared already, or in their place. Throws `invalid-argument`
   * for a profile of another tree, and where neither image nor content is in a registry.
   */
  async push(
    profiles: readonly Profile[],
    options: { replace: boolean },
    signal: AbortSignal,
  ): Promise<PushedProfiles> {
    const homes = this.#homes()
    if (homes.length === 0) {
      const message = 'profiles are shared through registries, and this image is in none'
      throw new SnapshotterError('invalid-argument', message)
    }
    const index = await this.index(signal)
    const strange = profiles.find((profile) => !isProfileOf(index, profile))
    if (strange !== undefined) {
      const message = `the profile of ${strange.index} names files that this image does not have`
      throw new SnapshotterError('invalid-argument', message)
    }
    const before = options.replace ? [] : await this.shared(signal)
    const all = profilesByCommand([...before, ...profiles])
    const subject = this.#image.descriptor
    const artifact = profileArtifact(all, { index: this.merged.digest, subject })
    let digest: Digest = this.merged.digest
    for (const repository of homes) {
      const isImageHere = repository.name === this.#repositories.image?.name
      const to = { index: this.merged.digest, subject: isImageHere ? subject : undefined }
      digest = await writeProfiles(repository, artifact, to, signal)
    }
    return {
      digest,
      repositories: homes.map(({ name }) => name),
      starts: all.map(({ commands }) => commands),
    }
  }

  /** Idempotent. */
  close(): void {
    this.#thin.close()
  }

  /** Nodes look where the content is: that comes first. */
  #homes(): Repository[] {
    const { image, store } = this.#repositories
    const homes = [store, image].filter((one) => one !== undefined)
    return homes.filter(({ name }, at) => homes.findIndex((one) => one.name === name) === at)
  }
}

function imageRepository(text: string, access: ImageAccess): Repository | undefined {
  const location = splitImageLocation(text)
  if (location.kind !== 'registry') return undefined
  const { registry, repository } = parseReference(location.reference)
  return access.repository(registry, repository)
}

function storeRepository(urls: readonly string[], access: ImageAccess): Repository | undefined {
  const url = urls.map(storeUrlFromString).find(({ kind }) => kind === 'registry')
  if (url?.kind !== 'registry') return undefined
  const { host, protocol } = new URL(url.origin)
  return access.repository(host, url.repository, protocol === 'http:')
}
