/**
 * Five layers. The upper ones remove, replace and bring back entries of the layers below them: with
 * whiteouts, with opaque directories, and with every change of type. The expected result is that of
 * the kernel's overlayfs.
 */
import { chmodSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DEBIAN_IMAGES, debianImage } from './debian-image.js'
import { BUILD_EPOCH_SEC, type ImageCache } from './image-cache.js'

/** Change this whenever the image changes: it is part of the image's key in the cache. */
const REVISION = 'whiteouts 1'
const OPAQUE = '.wh..wh..opq'

/** Returns `layout:tag` of the image. Its lowest layer is the Debian base. Needs root. */
export async function whiteoutsImage(cache: ImageCache): Promise<string> {
  const base = await debianImage(cache, { ...DEBIAN_IMAGES.python, packages: [] })
  return cache.image({
    name: 'whiteouts',
    ingredients: [REVISION, base],
    build: async (work) => {
      await work.from(base)
      for (const [number, fill] of LAYERS.entries()) {
        const layer = new Layer(join(work.directory, `layer-${number}`), number)
        fill(layer)
        await work.addDirectory(layer.directory)
      }
    },
  })
}

/** The layers above the base, from the lowest to the uppermost. */
const LAYERS: readonly ((layer: Layer) => void)[] = [
  (layer) => {
    for (let i = 0; i < 200; i++) layer.file(`w/many/file-${i}`)
    for (let i = 0; i < 40; i++) layer.file(`w/dirs/d${i}/file`)
    layer.file('w/opaque/below')
    layer.file('w/opaque/deep/below')
    layer.file('w/becomes-dir')
    layer.file('w/becomes-file/inside')
    layer.file('w/becomes-link/inside')
    layer.file('w/merged/from-1')
    layer.directoryMode('w/merged', 0o700)
    layer.file('w/gone-and-back')
  },
  (layer) => {
    for (let i = 0; i < 200; i += 2) layer.whiteout(`w/many/file-${i}`)
    for (let i = 0; i < 40; i += 4) layer.whiteout(`w/dirs/d${i}`)
    layer.file('w/opaque/kept')
    layer.opaque('w/opaque')
    layer.file('w/becomes-dir/inside')
    layer.file('w/becomes-file')
    layer.link('w/becomes-link', 'merged')
    layer.whiteout('w/gone-and-back')
    layer.whiteout('w/was-never-there')
    layer.file('w/merged/from-2')
    layer.directoryMode('w/merged', 0o755)
    layer.whiteout('usr/share/doc')
    layer.whiteout('etc/motd')
  },
  (layer) => {
    for (let i = 0; i < 200; i += 6) layer.file(`w/many/file-${i}`)
    for (let i = 0; i < 40; i += 8) layer.file(`w/dirs/d${i}/came-back`)
    layer.file('w/gone-and-back')
    layer.file('w/opaque/deep/again')
    layer.file('usr/share/doc/README')
    layer.file('w/merged/from-3')
  },
  (layer) => {
    layer.file('w/dirs/d1/over')
    layer.opaque('w/dirs/d1')
    layer.file('w/dirs/d8/twice')
    layer.opaque('w/dirs/d8')
    layer.whiteout('w/opaque/deep')
    for (let i = 1; i < 200; i += 4) layer.whiteout(`w/many/file-${i}`)
    layer.whiteout('w/merged/from-1')
    layer.opaque('w/empty-now')
    layer.file('var/opaque-over-base/x')
    layer.opaque('usr/share/locale')
  },
]

class Layer {
  readonly directory: string
  readonly #number: number

  constructor(directory: string, number: number) {
    this.directory = directory
    this.#number = number
    mkdirSync(directory)
  }

  file(path: string): void {
    const file = this.#at(path)
    writeFileSync(file, `${path} of layer ${this.#number}\n`)
    const mtimeSec = BUILD_EPOCH_SEC - 1000 * this.#number
    utimesSync(file, mtimeSec, mtimeSec)
  }

  link(path: string, target: string): void {
    symlinkSync(target, this.#at(path))
  }

  directoryMode(path: string, mode: number): void {
    mkdirSync(join(this.directory, path), { recursive: true })
    chmodSync(join(this.directory, path), mode)
  }

  whiteout(path: string): void {
    const target = this.#at(path)
    writeFileSync(join(dirname(target), `.wh.${target.slice(target.lastIndexOf('/') + 1)}`), '')
  }

  opaque(path: string): void {
    writeFileSync(this.#at(join(path, OPAQUE)), '')
  }

  #at(path: string): string {
    const full = join(this.directory, path)
    mkdirSync(dirname(full), { recursive: true })
    return full
  }
}
