/**
 * The profiles of one thin image. Recorded profiles and a guess are in the image itself; pushed
 * profiles are beside it in a registry.
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
  /** Default: the platform of this machine. */
  readonly platform?: string | undefined
}

export interface PushedProfiles {
  /** Digest of the artifact's manifest. */
  readonly digest: Digest
  /** The repositories that have the artifact. */
  readonly repositories: readonly string[]
  /** The commands of each profile. */
  readonly starts: readonly (readonly string[])[]
}

export class ThinProfiles {
  /** The index of the merged tree. */
  readonly merged: IndexRef
  readonly #image: PlatformImage
  readonly #thin: ThinImage
  /**
   * The repositories of the image and of its content. Undefined for a place that is not a registry.
   */
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

  /**
   * Opens the profiles of an image. Throws `invalid-argument` if the image has no merged tree. The
   * caller closes the result, and `access` after it.
   */
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

  /** The recorded profiles that the image was published with. */
  published(): Profile[] {
    const { thin } = this.#thin.recipe
    return thin === undefined ? [] : publishedProfiles(thin, this.#thin.files)
  }

  /** The guessed profile that the image was published with; undefined if there is none. */
  guess(): Profile | undefined {
    const { thin } = this.#thin.recipe
    return thin && publishedGuess(thin, this.#thin.files)
  }

  /** The profiles that were pushed, from the first repository that has some; else empty. */
  async shared(signal: AbortSignal): Promise<Profile[]> {
    for (const repository of this.#homes()) {
      const found = await readProfiles(repository, this.merged.digest, signal)
      if (found !== undefined) return found
    }
    return []
  }

  /** Opens the index of the merged tree. `ThinProfiles.close` closes it. */
  index(signal: AbortSignal): Promise<Index> {
    const [origin = 'store'] = this.#thin.originsOf(this.merged)
    return this.#thin.index(this.merged, origin, signal)
  }

  /**
   * Pushes profiles, beside those that are shared already or in their place. Throws
   * `invalid-argument` for a profile of another tree, and if neither the image nor its content is
   * in a registry.
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

  /**
   * The repositories to use, each once. The content's repository comes first, because nodes look
   * there.
   */
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
