/** The images of the end-to-end tests in a sandbox's registry: ordinary and thin. */
import { join } from 'node:path'
import { attributesImage } from '../sandbox/images/attributes-image.js'
import { DEBIAN_IMAGES, debianImage } from '../sandbox/images/debian-image.js'
import { ImageCache } from '../sandbox/images/image-cache.js'
import { whiteoutsImage } from '../sandbox/images/whiteouts-image.js'
import type { Sandbox } from '../sandbox/sandbox.js'
import { thinctl } from '../sandbox/thin-daemon.js'

/** References of an image and of its thin image. */
export interface ImagePair {
  readonly ordinary: string
  readonly thin: string
}

export type TestImage = 'python' | 'node' | 'nginx' | 'redis' | 'attributes' | 'whiteouts'

/** Gets each image from the cache. */
const TEST_IMAGES: Record<TestImage, (cache: ImageCache) => Promise<string>> = {
  python: (cache) => debianImage(cache, DEBIAN_IMAGES.python),
  node: (cache) => debianImage(cache, DEBIAN_IMAGES.node),
  nginx: (cache) => debianImage(cache, DEBIAN_IMAGES.nginx),
  redis: (cache) => debianImage(cache, DEBIAN_IMAGES.redis),
  attributes: attributesImage,
  whiteouts: whiteoutsImage,
}

/** Pushes an image to the sandbox's registry and converts it there, without a guessed start. */
export async function publish(sandbox: Sandbox, name: TestImage): Promise<ImagePair> {
  const cache = await ImageCache.open()
  const ordinary = await sandbox.push(await TEST_IMAGES[name](cache), `${name}:1`)
  const thin = sandbox.reference(`${name}:1-thin`)
  const database = ['--database', join(sandbox.directory, 'publish.db')]
  await thinctl(['convert', '--no-guess', ...database, ordinary, thin])
  return { ordinary, thin }
}
