/** Dumps a directory of a real filesystem in the form in which `dumpTree` dumps a tree. */
import { createHash } from 'node:crypto'
import { type BigIntStats, readFileSync } from 'node:fs'
import { lstat, readdir, readlink } from 'node:fs/promises'
import { xattrsAt } from '../../sandbox/xattrs-below.js'
import type { Dump, DumpedPath } from './tree-dump.js'

/**
 * Dumps `root` and everything below it. Directories get the size that trees give them. If only one
 * layer has a directory, overlayfs lists the whiteouts in it, but lstat(2) does not find them. Such
 * names are left out.
 */
export async function dumpDirectory(root: string): Promise<Dump> {
  const found: [path: string, stats: BigIntStats][] = []
  const firstPaths = new Map<bigint, string>()
  const left = ['.']
  for (let path = left.pop(); path !== undefined; path = left.pop()) {
    const place = placeOf(root, path)
    const stats = await lstatIfThere(place)
    if (stats === undefined) continue
    found.push([path, stats])
    if (!stats.isDirectory()) {
      const first = firstPaths.get(stats.ino)
      if (first === undefined || path < first) firstPaths.set(stats.ino, path)
      continue
    }
    for (const name of await readdir(place, { encoding: 'buffer' })) {
      const text = name.toString('latin1')
      left.push(path === '.' ? text : `${path}/${text}`)
    }
  }
  const xattrs = await xattrsAt(
    root,
    found.map(([path]) => Buffer.from(path, 'latin1')),
  )
  const dump: Dump = {}
  for (const [path, stats] of found.sort(([a], [b]) => (a < b ? -1 : 1))) {
    const dumped = await dumpPath(placeOf(root, path), path, stats, xattrs)
    dump[path] = { ...dumped, sameAs: firstPaths.get(stats.ino) ?? path }
  }
  return dump
}

function placeOf(root: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, 'latin1')])
}

async function lstatIfThere(place: Buffer): Promise<BigIntStats | undefined> {
  try {
    return await lstat(place, { bigint: true })
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

async function dumpPath(
  place: Buffer,
  path: string,
  stats: BigIntStats,
  xattrs: ReadonlyMap<string, string>,
): Promise<DumpedPath> {
  const nsec = stats.mtimeNs % 1_000_000_000n
  const target = stats.isSymbolicLink() ? await readlink(place, { encoding: 'buffer' }) : ''
  return {
    mode: stats.mode.toString(8),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    nlink: Number(stats.nlink),
    sizeBytes: stats.isDirectory() ? 4096 : Number(stats.size),
    rdev: Number(stats.rdev),
    mtime: `${String(stats.mtimeNs / 1_000_000_000n)}.${String(nsec).padStart(9, '0')}`,
    target: target.toString('latin1'),
    xattrs: xattrsFrom(xattrs.get(path === '.' ? '' : path) ?? ''),
    content: stats.isFile() ? createHash('sha256').update(readFileSync(place)).digest('hex') : '',
    sameAs: path,
  }
}

/** Parses `name=0xhex` entries with blanks between them. */
function xattrsFrom(line: string): Record<string, string> {
  const entries = line.split(' ').filter((entry) => entry !== '')
  return Object.fromEntries(
    entries.map((entry) => {
      const [name = '', value = ''] = entry.split('=')
      return [name, value.replace(/^0x/, '').replace(/^""$/, '')]
    }),
  )
}
