/** Images of many small files, for measurements of metadata. They are the same on every machine. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ImageCache } from '../test/sandbox/images/image-cache.js'

export interface FileTree {
  readonly name: string
  readonly directories: number
  readonly filesInEach: number
  /** Size of the file with this number within its directory. */
  readonly sizeBytes: (file: number) => number
}

/** Returns `layout:tag` of an image whose only layer has this tree below /tree. */
export async function fileTreeImage(cache: ImageCache, tree: FileTree): Promise<string> {
  const { name, directories, filesInEach, sizeBytes } = tree
  const sizes = [0, 1, 2, 3, 1000].map(sizeBytes)
  return cache.image({
    name,
    ingredients: ['file tree 1', String(directories), String(filesInEach), ...sizes.map(String)],
    build: async (work) => {
      const layer = join(work.directory, 'layer')
      for (let d = 0; d < directories; d++) {
        const directory = join(layer, 'tree', `directory-${d}`)
        mkdirSync(directory, { recursive: true })
        for (let f = 0; f < filesInEach; f++) {
          writeFileSync(join(directory, `file-${f}.txt`), textOf(d * filesInEach + f, sizeBytes))
        }
      }
      await work.fromScratch()
      await work.addDirectory(layer)
      await work.configure(['/none'])
    },
  })
}

function textOf(file: number, sizeBytes: (file: number) => number): Buffer {
  return Buffer.alloc(sizeBytes(file), `file ${file}, a line of text. `)
}
