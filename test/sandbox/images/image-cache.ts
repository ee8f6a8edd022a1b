/**
 * Test images, built once and kept in one OCI layout folder. The tag of an image contains a digest
 * of what it is made from: a changed recipe gets another tag. An interrupted build leaves no tag.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { withFileLock } from '../file-lock.js'
import { unmountBelow } from '../mounts.js'
import { runProgram } from '../program.js'

/** In seconds since 1970. Replaces the times that a build would otherwise take from the clock. */
export const BUILD_EPOCH_SEC = 1_700_000_000

/** Long enough to unpack or pack gigabytes on a busy machine. */
const REPACK_TIMEOUT_MS = 900_000

const HISTORY = ['--history.created', new Date(BUILD_EPOCH_SEC * 1000).toISOString()]

/** How an image is made. */
export interface ImageRecipe {
  readonly name: string
  /** Everything that determines the result; the tag contains its digest. */
  readonly ingredients: readonly string[]
  /** Builds the image under the draft tag of `work`. The cache sets the final tag afterwards. */
  readonly build: (work: ImageBuild) => Promise<void>
}

export class ImageCache {
  /** The OCI layout folder. */
  readonly layout: string

  /**
   * Opens the cache in $THIN_IMAGE_CACHE, or else in the user's cache directory. Creates it if it
   * is missing.
   */
  static async open(): Promise<ImageCache> {
    const caches = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache')
    const folder = process.env['THIN_IMAGE_CACHE'] ?? join(caches, 'thin-snapshotter')
    const layout = join(folder, 'images')
    const isThere = (): boolean => existsSync(join(layout, 'oci-layout'))
    if (!isThere()) {
      mkdirSync(folder, { recursive: true })
      // Of several processes that find no cache at the same time, one makes it.
      await withFileLock(join(folder, 'images.lock'), async () => {
        if (!isThere()) await runProgram(['umoci', 'init', '--layout', layout])
      })
    }
    return new ImageCache(layout)
  }

  private constructor(layout: string) {
    this.layout = layout
  }

  /** Returns `layout:tag` of the image. Builds the image first if the cache does not have it. */
  async image(recipe: ImageRecipe): Promise<string> {
    const digest = createHash('sha256').update(JSON.stringify(recipe.ingredients)).digest('hex')
    const tag = `${recipe.name}-${digest.slice(0, 12)}`
    if (!this.#tags().includes(tag)) await this.#build(recipe, tag)
    return `${this.layout}:${tag}`
  }

  async #build(recipe: ImageRecipe, tag: string): Promise<void> {
    const directory = mkdtempSync(join(tmpdir(), 'thin-image-'))
    const draft = `draft-${tag}`
    const work = new ImageBuild(directory, `${this.layout}:${draft}`)
    try {
      // umoci rewrites the layout's index.json as a whole, so all processes together build one
      // image at a time.
      await withFileLock(join(this.layout, 'lock'), async () => {
        if (this.#tags().includes(tag)) return
        // Remove the draft of an interrupted build.
        if (this.#tags().includes(draft)) await runProgram(['umoci', 'rm', '--image', work.image])
        await recipe.build(work)
        await runProgram(['umoci', 'tag', '--image', work.image, tag])
        await runProgram(['umoci', 'rm', '--image', work.image])
      })
    } finally {
      await unmountBelow(directory)
      rmSync(directory, { recursive: true, force: true })
    }
  }

  #tags(): string[] {
    const index = JSON.parse(readFileSync(join(this.layout, 'index.json'), 'utf8')) as {
      manifests: { annotations?: Record<string, string> }[] | null
    }
    const ref = 'org.opencontainers.image.ref.name'
    return (index.manifests ?? []).flatMap(({ annotations }) => annotations?.[ref] ?? [])
  }
}

/**
 * Sets the mtime of all files that this build has made to the epoch: those newer than the epoch and
 * older than 2090. Later times are an image's own.
 */
export async function clampTimes(directory: string): Promise<void> {
  const epoch = `@${BUILD_EPOCH_SEC}`
  const made = ['-newermt', epoch, '!', '-newermt', '2090-01-01']
  const touch = ['-exec', 'touch', '-h', '-d', epoch, '{}', '+']
  await runProgram(['find', directory, '-xdev', ...made, ...touch])
}

/** An image under construction: a draft tag, and a directory that the cache removes afterwards. */
export class ImageBuild {
  readonly directory: string
  /** `layout:tag` of the draft. */
  readonly image: string

  constructor(directory: string, image: string) {
    this.directory = directory
    this.image = image
  }

  /** Starts with an empty image. */
  async fromScratch(): Promise<void> {
    await runProgram(['umoci', 'new', '--image', this.image])
  }

  /** Starts with another image of the same layout. */
  async from(base: string): Promise<void> {
    await runProgram([
      'umoci',
      'tag',
      '--image',
      base,
      this.image.slice(this.image.indexOf(':') + 1),
    ])
  }

  /** Adds a tar archive as a layer, unchanged. */
  async addArchive(archive: string): Promise<void> {
    await runProgram(['umoci', 'raw', 'add-layer', '--image', this.image, ...HISTORY, archive])
  }

  /**
   * Adds the content of a directory as a layer, with all attributes that tar(1) can store: extended
   * attributes, holes, nanoseconds. Names starting with `.wh.` are whiteouts of the OCI layer
   * format.
   */
  async addDirectory(directory: string): Promise<void> {
    await clampTimes(directory)
    const archive = `${directory}.tar`
    const attributes = ['--xattrs', '--xattrs-include=*', '--numeric-owner', '--sparse']
    const order = ['--format=pax', '--sort=name', '--pax-option=delete=atime,delete=ctime']
    await runProgram(['tar', ...order, ...attributes, '-cf', archive, '-C', directory, '.'])
    await this.addArchive(archive)
  }

  /**
   * Unpacks the image, calls `change` with the root filesystem, and adds the changes as a layer.
   */
  async addChanges(change: (rootfs: string) => Promise<void>): Promise<void> {
    const bundle = join(this.directory, 'bundle')
    const limits = { timeoutMs: REPACK_TIMEOUT_MS }
    await runProgram(['umoci', 'unpack', '--image', this.image, bundle], limits)
    await change(join(bundle, 'rootfs'))
    await runProgram(['umoci', 'repack', '--image', this.image, ...HISTORY, bundle], limits)
    rmSync(bundle, { recursive: true, force: true })
  }

  /** Sets PATH and the command that a container runs by default. */
  async configure(command: readonly string[]): Promise<void> {
    const path = '--config.env=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
    const args = command.map((word) => `--config.cmd=${word}`)
    await runProgram(['umoci', 'config', '--image', this.image, '--no-history', path, ...args])
  }
}
