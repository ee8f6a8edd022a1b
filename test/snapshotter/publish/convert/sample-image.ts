/** Small images made with umoci and skopeo: four layers, a configuration, annotations. */
import { randomBytes } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digestOf, hexOf } from '../../../../index-format/index.js'
import { OCI_INDEX } from '../../../../snapshotter/images/registry/index.js'
import { runProgram } from '../../../sandbox/program.js'

export interface SampleImage {
  readonly folder: string
  /** The OCI layout; its image is tagged `1`. */
  readonly layout: string
  /** Content of the image's files, by path. */
  readonly files: ReadonlyMap<string, Buffer>
  remove(): void
}

/**
 * Layer 1 is /usr with a large file. Layer 2 is /etc. Layer 3 replaces a file. Layer 4 removes a
 * file.
 */
export async function makeSampleImage(): Promise<SampleImage> {
  const folder = mkdtempSync(join(tmpdir(), 'test-image-'))
  const layout = join(folder, 'layout')
  const files = new Map<string, Buffer>([
    [
      'usr/lib/large.bin',
      Buffer.concat([randomBytes(3_000_000), Buffer.alloc(2_000_000, 'text ')]),
    ],
    ['usr/bin/tool', Buffer.from('#!/bin/sh\necho tool\n')],
    ['etc/kept', Buffer.from('kept\n')],
    ['etc/replaced', Buffer.from('new\n')],
  ])
  for (let i = 0; i < 300; i++)
    files.set(`usr/share/doc/file-${i}`, Buffer.from(`text ${i}\n`.repeat(i)))
  const roots = [join(folder, 'usr'), join(folder, 'etc')]
  for (const root of roots) mkdirSync(root)
  for (const [path, bytes] of files) {
    mkdirSync(join(folder, path, '..'), { recursive: true })
    writeFileSync(join(folder, path), path === 'etc/replaced' ? 'old\n' : bytes)
  }
  writeFileSync(join(folder, 'etc/gone'), 'gone\n')
  writeFileSync(join(folder, 'replaced'), files.get('etc/replaced') ?? '')
  const image = `${layout}:1`
  const umoci = (...args: string[]): Promise<unknown> => runProgram(['umoci', ...args])
  await umoci('init', '--layout', layout)
  await umoci('new', '--image', image)
  await umoci('insert', '--image', image, join(folder, 'usr'), '/usr')
  await umoci('insert', '--image', image, join(folder, 'etc'), '/etc')
  await umoci('insert', '--image', image, join(folder, 'replaced'), '/etc/replaced')
  await umoci('insert', '--image', image, '--whiteout', '/etc/gone')
  await umoci(
    ...[
      'config',
      '--image',
      image,
      '--config.env',
      'GREETING=hello',
      '--config.cmd',
      '/usr/bin/tool',
    ],
    ...['--config.label', 'vendor=test', '--manifest.annotation', 'note=kept'],
  )
  return {
    folder,
    layout,
    files,
    remove: () => {
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Copies an image with skopeo. `source` and `target` are in skopeo's notation. */
export async function copyImage(source: string, target: string, ...flags: string[]): Promise<void> {
  await runProgram([
    ...['skopeo', 'copy', '--insecure-policy', '--quiet', '--src-tls-verify=false'],
    ...['--dest-tls-verify=false', ...flags, source, target],
  ])
}

/**
 * Makes a layout with an index `multi`: the image for linux/amd64 and for linux/arm64, and an
 * attestation as BuildKit adds it. `change` is called with the name of the linux/arm64 image and
 * may change it. Returns the layout's folder.
 */
export async function makeMultiPlatform(
  sample: SampleImage,
  change?: (image: string) => Promise<unknown>,
): Promise<string> {
  const layout = join(sample.folder, 'multi')
  cpSync(sample.layout, layout, { recursive: true })
  await runProgram(['umoci', 'tag', '--image', `${layout}:1`, 'arm'])
  await runProgram(['umoci', 'config', '--image', `${layout}:arm`, '--architecture', 'arm64'])
  await change?.(`${layout}:arm`)
  const indexPath = join(layout, 'index.json')
  const index = JSON.parse(readFileSync(indexPath, 'utf8')) as {
    manifests: { annotations: Record<string, string> }[]
  }
  const named = (tag: string): object => {
    const found = index.manifests.find(
      (one) => one.annotations['org.opencontainers.image.ref.name'] === tag,
    )
    if (found === undefined) throw new Error(`no image ${tag}`)
    const { annotations, ...rest } = found
    return { ...rest, annotations: { about: annotations['org.opencontainers.image.ref.name'] } }
  }
  const inner = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_INDEX,
      annotations: { purpose: 'test' },
      manifests: [
        { ...named('1'), platform: { os: 'linux', architecture: 'amd64' } },
        { ...named('arm'), platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } },
        { ...named('1'), platform: { os: 'unknown', architecture: 'unknown' } },
      ],
    }),
  )
  const digest = digestOf(inner)
  writeFileSync(join(layout, 'blobs/sha256', hexOf(digest)), inner)
  const annotations = { 'org.opencontainers.image.ref.name': 'multi' }
  const entry = { mediaType: OCI_INDEX, digest, size: inner.length, annotations }
  writeFileSync(indexPath, JSON.stringify({ ...index, manifests: [...index.manifests, entry] }))
  return layout
}
