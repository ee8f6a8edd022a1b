/** An OCI layout with many images that are quickly made in memory and all different. */
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

export interface SmallFilesImage {
  readonly tag: string
  readonly directories: number
  readonly filesInEach: number
  /**
   * Modification time of every file, in seconds since 1970. Images with different times have
   * different indexes.
   */
  readonly mtimeSec: number
}

const BLOCK_BYTES = 512
/** A file's content must fit in one block. */
const MAX_CONTENT_BYTES = 50

/** Writes the layout's folder, which must not exist; `oci:FOLDER:TAG` names an image in it. */
export function writeSmallFilesLayout(folder: string, images: readonly SmallFilesImage[]): void {
  mkdirSync(join(folder, 'blobs', 'sha256'), { recursive: true })
  writeFileSync(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
  const manifests = images.map((image) => ({
    ...manifestOf(folder, image),
    annotations: { 'org.opencontainers.image.ref.name': image.tag },
  }))
  writeFileSync(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }))
}

interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

function manifestOf(folder: string, image: SmallFilesImage): Descriptor {
  const tar = tarOf(image)
  const layer = putBlob(folder, 'layer.v1.tar+gzip', gzipSync(tar, { level: 1 }))
  const config = {
    architecture: 'amd64',
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: [digestOf(tar)] },
  }
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: putBlob(folder, 'config.v1+json', Buffer.from(JSON.stringify(config))),
    layers: [layer],
  }
  return putBlob(folder, 'manifest.v1+json', Buffer.from(JSON.stringify(manifest)))
}

function putBlob(folder: string, type: string, bytes: Buffer): Descriptor {
  const digest = digestOf(bytes)
  writeFileSync(join(folder, 'blobs', digest.replace(':', '/')), bytes)
  return { mediaType: `application/vnd.oci.image.${type}`, digest, size: bytes.length }
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

/**
 * A ustar archive: each directory, followed by its files. Each file takes one header and one block.
 */
function tarOf({ directories, filesInEach, mtimeSec }: SmallFilesImage): Buffer {
  const blocks = directories * (1 + filesInEach * 2) + 2
  const tar = Buffer.alloc(blocks * BLOCK_BYTES)
  let at = 0
  for (let d = 0; d < directories; d++) {
    putHeader(tar, at, { name: `directory-${d}/`, sizeBytes: 0, mtimeSec, type: '5', mode: 0o755 })
    at += BLOCK_BYTES
    for (let f = 0; f < filesInEach; f++) {
      const content = `file ${f} of ${d}`.slice(0, MAX_CONTENT_BYTES)
      const name = `directory-${d}/file-${f}.txt`
      putHeader(tar, at, { name, sizeBytes: content.length, mtimeSec, type: '0', mode: 0o644 })
      tar.write(content, at + BLOCK_BYTES, 'latin1')
      at += 2 * BLOCK_BYTES
    }
  }
  return tar
}

interface Header {
  readonly name: string
  readonly sizeBytes: number
  readonly mtimeSec: number
  readonly type: '0' | '5'
  readonly mode: number
}

/**
 * Writes a header of POSIX.1-1988 ustar: numbers are octal and end with NUL. The checksum is taken
 * with blanks in its place.
 */
function putHeader(tar: Buffer, at: number, header: Header): void {
  const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, '0')
  tar.write(header.name, at, 'latin1')
  tar.write(octal(header.mode, 7), at + 100, 'latin1')
  tar.write(octal(0, 7), at + 108, 'latin1')
  tar.write(octal(0, 7), at + 116, 'latin1')
  tar.write(octal(header.sizeBytes, 11), at + 124, 'latin1')
  tar.write(octal(header.mtimeSec, 11), at + 136, 'latin1')
  tar.write(' '.repeat(8), at + 148, 'latin1')
  tar.write(header.type, at + 156, 'latin1')
  tar.write('ustar\x0000', at + 257, 'latin1')
  let sum = 0
  for (let i = at; i < at + BLOCK_BYTES; i++) sum += tar[i] ?? 0
  tar.write(`${octal(sum, 6)}\0 `, at + 148, 'latin1')
}
