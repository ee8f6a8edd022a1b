/** Shows how a real containerd merges a stack of layers, through its overlayfs snapshotter. */
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Containerd } from '../../sandbox/containerd.js'
import { unmountBelow } from '../../sandbox/mounts.js'
import { runProgram } from '../../sandbox/program.js'
import { dumpDirectory } from '../layer/directory-dump.js'
import type { Dump } from '../layer/tree-dump.js'
import { tarOf } from '../tar/tar-fixture.js'

const SNAPSHOTTER = 'overlayfs'

export class ContainerdView {
  readonly #directory: string
  readonly #containerd: Containerd
  #images = 0

  private constructor(directory: string, containerd: Containerd) {
    this.#directory = directory
    this.#containerd = containerd
  }

  /** Starts a private containerd. The caller closes it. */
  static async start(): Promise<ContainerdView> {
    const directory = mkdtempSync(join(tmpdir(), 'thin-layers-'))
    const containerd = await Containerd.start({ directory: join(directory, 'c'), snapshotters: {} })
    return new ContainerdView(directory, containerd)
  }

  /**
   * Imports an image of these layers (tar archives, bottom first), unpacks it and dumps its root
   * filesystem.
   */
  async dump(layers: readonly Uint8Array[]): Promise<Dump> {
    const name = `example.org/layers:${++this.#images}`
    const archive = join(this.#directory, `image-${this.#images}.tar`)
    writeFileSync(archive, ociArchive(name, layers))
    await this.#containerd.ctr(['images', 'import', '--snapshotter', SNAPSHOTTER, archive])
    const target = join(this.#directory, `root-${this.#images}`)
    mkdirSync(target)
    await this.#mount(chainIdOf(layers), target)
    try {
      return await dumpDirectory(target)
    } finally {
      await unmountBelow(target)
    }
  }

  /**
   * Mounts the layers the way a view of them is mounted. A real view is not protected from
   * containerd's garbage collection and may be removed before the next command. A snapshot made by
   * `ctr snapshots prepare` is a garbage collection root.
   */
  async #mount(chainId: string, target: string): Promise<void> {
    const snapshots = ['snapshots', '--snapshotter', SNAPSHOTTER]
    await this.#containerd.ctr([...snapshots, 'prepare', target, chainId])
    const { stdout } = await this.#containerd.ctr([...snapshots, 'mounts', target, target])
    const lower = /lowerdir=([^,\s]+)/.exec(stdout)?.[1]
    if (lower === undefined) throw new Error(`ctr snapshots mounts says "${stdout}"`)
    await runProgram(
      lower.includes(':')
        ? ['mount', '-t', 'overlay', '-o', `ro,index=off,lowerdir=${lower}`, 'overlay', target]
        : ['mount', '-o', 'ro,bind', lower, target],
    )
  }

  /** Ends containerd and removes everything. Idempotent. */
  async close(): Promise<void> {
    await this.#containerd.close()
    await unmountBelow(this.#directory)
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

/** Chain ID of all layers: OCI image-spec, config.md, "Layer ChainID". */
function chainIdOf(layers: readonly Uint8Array[]): string {
  return layers.map(diffIdOf).reduce((below, diffId) => diffIdOf(Buffer.from(`${below} ${diffId}`)))
}

function diffIdOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

/** Makes a tar archive of an OCI image layout, for `ctr images import`. */
function ociArchive(name: string, layers: readonly Uint8Array[]): Buffer {
  const blobs = new Map<string, Uint8Array>()
  const put = (mediaType: string, bytes: Uint8Array): object => {
    const hex = createHash('sha256').update(bytes).digest('hex')
    blobs.set(hex, bytes)
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length }
  }
  const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))
  const layerRefs = layers.map((layer) => put('application/vnd.oci.image.layer.v1.tar', layer))
  const config = put(
    'application/vnd.oci.image.config.v1+json',
    json({
      architecture: 'amd64',
      os: 'linux',
      config: {},
      rootfs: {
        type: 'layers',
        diff_ids: layers.map(
          (layer) => `sha256:${createHash('sha256').update(layer).digest('hex')}`,
        ),
      },
    }),
  )
  const manifestType = 'application/vnd.oci.image.manifest.v1+json'
  const manifest = put(
    manifestType,
    json({ schemaVersion: 2, mediaType: manifestType, config, layers: layerRefs }),
  )
  const index = {
    schemaVersion: 2,
    manifests: [{ ...manifest, annotations: { 'io.containerd.image.name': name } }],
  }
  return tarOf(
    { path: 'oci-layout', body: json({ imageLayoutVersion: '1.0.0' }) },
    { path: 'index.json', body: json(index) },
    { path: 'blobs/' },
    { path: 'blobs/sha256/' },
    ...[...blobs].map(([hex, body]) => ({ path: `blobs/sha256/${hex}`, body })),
  )
}
