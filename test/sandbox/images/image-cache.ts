/**
 * Test images, built once and kept as one OCI layout folder. An image is addressed by what it is
 * made from: a changed recipe is another tag, an interrupted build leaves no tag at all.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { withFileLock } from '../file-lock.js'
import { unmountBelow } from '../mounts.js'
import { runProgram } from '../program.js'

/** Times that a build would otherwise take from the clock are this one, in seconds since 1970. */
export const BUILD_EPOCH_SEC = 1_700_000_000

/** Unpacking or packing gigabytes, on a machine that does other things as well. */
const REPACK_TIMEOUT_MS = 900_000

const HISTORY = ['--history.created', new Date(BUILD_EPOCH_SEC * 1000).toISOString()]

/** What an image is made from. */
export interface ImageRecipe {
  readonly name: string
  /** Everything that decides the result; part of the tag. */
  readonly ingredients: readonly string[]
  /** Adds layers to the empty image `tag`, which stands for it until it is complete. */
  readonly build: (work: ImageBuild) => Promise<void>
}

export class ImageCache {
  /** The OCI layout folder. */
  readonly layout: string

  /** The folder is $THIN_IMAGE_CACHE, else below the user's cache directory. */
  static async open(): Promise<ImageCache> {
    const caches = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache')
    const folder = process.env['THIN_IMAGE_CACHE'] ?? join(caches, 'thin-snapshotter')
    const layout = join(folder, 'images')
    const isThere = (): boolean => existsSync(join(layout, 'oci-layout'))
    if (!isThere()) {
      mkdirSync(folder, { recursive: true })
      // Two that find none at the same time make one.
      await withFileLock(join(folder, 'images.lock'), async () => {
        if (!isThere()) await runProgram(['umoci', 'init', '--layout', layout])
      })
    }
    return new ImageCache(layout)
  }

  private constructor(layout: string) {
    this.layout = layout
  }

  /** `layout:tag` of the image, which is built first where it is not there. */
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
      // umoci rewrites the layout's index.json as a whole: one build at a time, whoever builds.
      await withFileLock(join(this.layout, 'lock'), async () => {
        if (this.#tags().includes(tag)) return
        // What an interrupted build has left.
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

/** Gives what this build has made (what is newer than the epoch, but not from a far future) the epoch's time. */
export async function clampTimes(directory: string): Promise<void> {
  const epoch = `@${BUILD_EPOCH_SEC}`
  const made = ['-newermt', epoch, '!', '-newermt', '2090-01-01']
  const touch = ['-exec', 'touch', '-h', '-d', epoch, '{}', '+']
  await runProgram(['find', directory, '-xdev', ...made, ...touch])
}

/** An image under construction: a draft tag, and a directory that is removed afterwards. */
export class ImageBuild {
  readonly directory: string
  /** `layout:tag` of the draft. */
  readonly image: string

  constructor(directory: string, image: string) {
    this.directory = directory
    this.image = image
  }

  /** Starts from nothing. */
  async fromScratch(): Promise<void> {
    await runProgram(['umoci', 'new', '--image', this.image])
  }

  /** Starts from another image of the same layout. */
  async from(base: string): Promise<void> {
    await runProgram([
      'umoci',
      'tag',
      '--image',
      base,
      this.image.slice(this.image.indexOf(':') + 1),
    ])
  }

  /** Adds a tar archive as it is. */
  async addArchive(archive: string): Promise<void> {
    await runProgram(['umoci', 'raw', 'add-layer', '--image', this.image, ...HISTORY, archive])
  }

  /**
   * Adds the content of a directory, with everything tar(1) can say about it: extended attributes,
   * holes, nanoseconds. Names starting with `.wh.` are the whiteouts of the OCI layer format.
   */
  async addDirectory(directory: string): Promise<void> {
    await clampTimes(directory)
    const archive = `${directory}.tar`
    const attributes = ['--xattrs', '--xattrs-include=*', '--numeric-owner', '--sparse']
    const order = ['--format=pax', '--sort=name', '--pax-option=delete=atime,delete=ctime']
    await runProgram(['tar', ...order, ...attributes, '-cf', archive, '-C', directory, '.'])
    await this.addArchive(archive)
  }

  /** Adds what `change` does to the image's unpacked root filesystem. */
  async addChanges(change: (rootfs: string) => Promise<void>): Promise<void> {
    const bundle = join(this.directory, 'bundle')
    const limits = { timeoutMs: REPACK_TIMEOUT_MS }
    await runProgram(['umoci', 'unpack', '--image', this.image, bundle], limits)
    await change(join(bundle, 'rootfs'))
    await runProgram(['umoci', 'repack', '--image', this.image, ...HISTORY, bundle], limits)
    rmSync(bundle, { recursive: true, force: true })
  }

  /** Sets the command line a container runs by default, and PATH. */
  async configure(command: readonly string[]): Promise<void> {
    const path = '--config.env=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
    const args = command.map((word) => `--config.cmd=${word}`)
    await runProgram(['umoci', 'config', '--image', this.image, '--no-history', path, ...args])
  }
}
