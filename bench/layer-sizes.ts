/** What the layers of an image in an OCI layout weigh. */
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { createGunzip } from 'node:zlib'
import { runProgram } from '../test/sandbox/program.js'

export interface LayerSizes {
  readonly layers: number
  /** As the registry serves them. */
  readonly gzipBytes: number
  /** As tar archives. */
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
