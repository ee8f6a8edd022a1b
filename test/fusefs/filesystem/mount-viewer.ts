/**
 * Looks at a mounted directory through the kernel. All calls are asynchronous: a synchronous call
 * would block this process, which may be the one that serves the mount.
 */
import { execFile } from 'node:child_process'
import { lstat, open, readdir, readlink } from 'node:fs/promises'
import { promisify } from 'node:util'
import type { Seen, Viewer } from './viewer.js'

const run = promisify(execFile)

export class MountViewer implements Viewer {
  readonly #root: string

  constructor(root: string) {
    this.#root = root
  }

  async lstat(path: string): Promise<Seen> {
    const stat = await lstat(this.#path(path), { bigint: true })
    return {
      ino: Number(stat.ino),
      mode: Number(stat.mode),
      nlink: Number(stat.nlink),
      uid: Number(stat.uid),
      gid: Number(stat.gid),
      rdev: Number(stat.rdev),
      size: Number(stat.size),
      blocks: Number(stat.blocks),
      mtimeNs: stat.mtimeNs,
    }
  }

  async readlink(path: string): Promise<string> {
    return (await readlink(this.#path(path), { encoding: 'buffer' })).toString('latin1')
  }

  async list(path: string): Promise<string[]> {
    const names = await readdir(this.#path(path), { encoding: 'buffer' })
    return names.map((name) => name.toString('latin1'))
  }

  async read(path: string, offset: number, length: number): Promise<Buffer> {
    const file = await open(this.#path(path))
    try {
      const buffer = Buffer.alloc(length)
      let filled = 0
      while (filled < length) {
        const { bytesRead } = await file.read(buffer, filled, length - filled, offset + filled)
        if (bytesRead === 0) break
        filled += bytesRead
      }
      return buffer.subarray(0, filled)
    } finally {
      await file.close()
    }
  }

  async xattr(path: string, name: string): Promise<Buffer> {
    const command = ['--absolute-names', '-h', '-n', name, '-e', 'hex', '--', this.#text(path)]
    try {
      const { stdout } = await run('getfattr', command)
      const value = /=0x([0-9a-f]*)$/m.exec(stdout)?.[1]
      if (value === undefined) throw new Error(`getfattr said ${stdout}`)
      return Buffer.from(value, 'hex')
    } catch (error) {
      if (!String(error).includes('No such attribute')) throw error
      throw Object.assign(new Error('no such attribute', { cause: error }), { code: 'ENODATA' })
    }
  }

  async xattrNames(path: string): Promise<string[]> {
    const command = ['--absolute-names', '-h', '-m', '-', '--', this.#text(path)]
    const { stdout } = await run('getfattr', command)
    return stdout.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  }

  #path(path: string): Buffer {
    return Buffer.from(this.#text(path), 'latin1')
  }

  #text(path: string): string {
    return path === '' ? this.#root : `${this.#root}/${path}`
  }
}
