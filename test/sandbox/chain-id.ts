/**
 * Computes the chain ID: the name of an image's uppermost snapshot, by the OCI image specification.
 */
import { createHash } from 'node:crypto'

interface Manifest {
  readonly manifests?: readonly {
    readonly digest: string
    readonly platform?: { readonly os: string; readonly architecture: string }
  }[]
  readonly config?: { readonly digest: string }
}

/**
 * Returns the chain ID of the image whose manifest or index has this digest. `content` reads a blob
 * from containerd's content store.
 */
export async function chainIdOf(
  digest: string,
  content: (digest: string) => Promise<string>,
): Promise<string> {
  const { manifests, config } = JSON.parse(await content(digest)) as Manifest
  if (config === undefined) {
    const architecture = process.arch === 'x64' ? 'amd64' : process.arch
    const ours = manifests?.find(
      ({ platform }) => platform?.os === 'linux' && platform.architecture === architecture,
    )
    // The index of a single-platform image may omit the platform.
    const inner = ours ?? manifests?.[0]
    if (inner === undefined) throw new Error(`${digest} is an index without manifests`)
    return chainIdOf(inner.digest, content)
  }
  const image = JSON.parse(await content(config.digest)) as { rootfs: { diff_ids: string[] } }
  return image.rootfs.diff_ids.reduce((chain, diffId) => {
    if (chain === '') return diffId
    return `sha256:${createHash('sha256').update(`${chain} ${diffId}`).digest('hex')}`
  }, '')
}
