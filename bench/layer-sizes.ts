/** The sizes of an image's layers in an OCI layout. */
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { createGunzip } from 'node:zlib'
import { runProgram } from '../test/sandbox/program.js'

export interface LayerSizes {
  readonly layers: number
  /** Total size as the registry serves the layers. */
  readonly gzipBytes: number
  /** Total size of the uncompressed tar archives. */
  readonly rawBytes: number
}

export async function layerSizesOf(layoutAndTag: string): Promise<LayerSizes> {
  const inspect = ['skopeo', 'inspect', '--raw', `oci:${layoutAndTag}`]
  const manifest = JSON.parse((await runProgram(inspect)).stdout) as {
    layers: { digest: string; size: number }[]
  }
  const layout = layoutAndTag.slice(0, layoutAndTag.lastIndexOf(':'))
  let gzipBytes = 0
  let rawBytes = 0
  for (const { digest, size } of manifest.layers) {
    gzipBytes += size
    const blob = createReadStream(join(layout, 'blobs', digest.replace(':', '/')))
    for await (const chunk of blob.pipe(createGunzip())) rawBytes += (chunk as Buffer).length
  }
  return { layers: manifest.layers.length, gzipBytes, rawBytes }
}
