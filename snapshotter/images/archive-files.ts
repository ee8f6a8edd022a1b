/**
 * The members of an image archive (the tar file that `docker save` or `skopeo` writes), by name,
 * with random access. Headers are read once, contents on request. An archive compressed with gzip
 * is unpacked into a temporary file first. Layers are read by the tar reader of index-format, not
 * by this one.
 */
import { createReadStream, createWriteStream } from 'node:fs'
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { SnapshotterError } from '../errors.js'
import type { FileSet } from './oci-layout.js'
import { type OuterMember, readOuterMembers } from './outer-tar.js'

const READ_BYTES = 256 * 1024
const MAX_LINK_DEPTH = 8

export class ArchiveFiles implements FileSet {
  readonly name: string
  readonly #file: FileHandle
  readonly #members: ReadonlyMap<string, OuterMember>
  readonly #spoolFolder: string | undefined

  private constructor(
    name: string,
    file: FileHandle,
    members: ReadonlyMap<string, OuterMember>,
    spoolFolder: string | undefined,
  ) {
    this.name = name
    this.#file = file
    this.#members = members
    this.#spoolFolder = spoolFolder
  }

  /**
   * Opens the archive `path`. A compressed archive is unpacked into a folder below `tempFolder`,
   * which `close` removes. Throws `not-found` where the file cannot be opened, `invalid-content`
   * where it is no tar archive. The caller closes it.
   */
  static async open(path: string, tempFolder: string, signal: AbortSignal): Promise<ArchiveFiles> {
    let spoolFolder: string | undefined
    let file = await openFile(path)
    try {
      if (await isGzip(file)) {
        spoolFolder = await mkdtemp(join(tempFolder, 'thinctl-archive-'))
        const plain = join(spoolFolder, 'archive.tar')
        await pipeline(createReadStream(path), createGunzip(), createWriteStream(plain), { signal })
        await file.close()
        file = await openFile(plain)
      }
      const members = await readOuterMembers(file, path)
      return new ArchiveFiles(path, file, members, spoolFolder)
    } catch (error) {
      await file.close()
      if (spoolFolder !== undefined) await rm(spoolFolder, { recursive: true, force: true })
      throw error
    }
  }

  has(path: string): boolean {
    return this.#resolve(path) !== undefined
  }

  /** Size of a member in bytes; `undefined` where there is no such member. */
  sizeOf(path: string): number | undefined {
    return this.#resolve(path)?.sizeBytes
  }

  read(path: string): AsyncIterable<Uint8Array> | undefined {
    const member = this.#resolve(path)
    return member === undefined ? undefined : this.#bytesOf(member)
  }

  async close(): Promise<void> {
    await this.#file.close().catch(() => undefined)
    if (this.#spoolFolder !== undefined) {
      await rm(this.#spoolFolder, { recursive: true, force: true })
    }
  }

  /** Follows links, because `docker save` replaces equal layers by links to the first one. */
  #resolve(path: string): OuterMember | undefined {
    let at = posix.normalize(path)
    for (let depth = 0; depth < MAX_LINK_DEPTH; depth++) {
      const member = this.#members.get(at)
      if (member?.linkTarget === undefined) return member
      at =
        member.linkKind === 'symbolic'
          ? posix.join(posix.dirname(at), member.linkTarget)
          : posix.normalize(member.linkTarget)
    }
    return undefined
  }

  async *#bytesOf(member: OuterMember): AsyncGenerator<Uint8Array, void, undefined> {
    let done = 0
    while (done < member.sizeBytes) {
      const piece = Buffer.allocUnsafe(Math.min(READ_BYTES, member.sizeBytes - done))
      const { bytesRead } = await this.#file.read(piece, 0, piece.length, member.offset + done)
      if (bytesRead === 0) {
        throw new SnapshotterError('invalid-content', `${this.name}: ends inside a member`)
      }
      done += bytesRead
      yield piece.subarray(0, bytesRead)
    }
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r')
  } catch (cause) {
    throw new SnapshotterError('not-found', `${path}: cannot be opened`, { cause })
  }
}

async function isGzip(file: FileHandle): Promise<boolean> {
  const magic = Buffer.alloc(2)
  await file.read(magic, 0, 2, 0)
  return magic[0] === 0x1f && magic[1] === 0x8b
}
