/**
 * Gives hard links that came before their targets the inodes of these targets. A chain of such
 * links is followed to its end once, for all links in it.
 */
import { IndexFormatError } from '../errors.js'
import { escapeBytes } from '../escape.js'
import { isDirectory, S_IFMT } from '../file-mode.js'
import type { DirectoryResolver } from './directory-resolver.js'
import { memberPathOf } from './member-path.js'
import type { Found, PendingLink, WorkTree } from './work-tree.js'

/** Throws `invalid-layer`, naming the link, if a target is missing, a directory or the link. */
export function resolvePendingLinks(tree: WorkTree, resolver: DirectoryResolver): void {
  for (const pending of tree.pendingLinks()) {
    if (!isStillThere(tree, pending)) continue
    const chain = new Map<number, PendingLink>([[pending.ino, pending]])
    let last = pending
    let target = targetOf(tree, resolver, last)
    while ((target.mode & S_IFMT) === 0) {
      const next = tree.pendingLink(target.ino)
      if (next === undefined || chain.has(next.ino)) {
        throw invalid(last, 'which leads back to itself')
      }
      chain.set(next.ino, next)
      last = next
      target = targetOf(tree, resolver, last)
    }
    for (const link of chain.values()) {
      tree.remove(link.parent, link.name, { ino: link.ino, mode: 0 })
      tree.link(link.parent, link.name, target.ino)
    }
  }
}

/** False if a later member took the name, or removed its directory. */
function isStillThere(tree: WorkTree, link: PendingLink): boolean {
  return tree.find(link.parent, link.name)?.ino === link.ino
}

function targetOf(tree: WorkTree, resolver: DirectoryResolver, link: PendingLink): Found {
  const what = `member "${escapeBytes(link.path)}"`
  const path = memberPathOf(link.target, what)
  if (path === undefined) throw invalid(link, 'which is a directory')
  const directory = resolver.existing(path.parent, what)
  const found = directory && tree.find(directory.ino, path.base)
  if (found === undefined) throw invalid(link, 'which the layer does not have')
  if (isDirectory(found.mode)) throw invalid(link, 'which is a directory')
  return found
}

function invalid(link: PendingLink, why: string): IndexFormatError {
  return new IndexFormatError(
    'invalid-layer',
    `member "${escapeBytes(link.path)}": a hard link to "${escapeBytes(link.target)}", ${why}`,
  )
}
