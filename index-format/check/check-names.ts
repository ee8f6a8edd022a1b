/**
 * Checks names and inodes against each other: every name leads to an inode, every inode has a path
 * from the root, directories form a tree, link counts are right. Takes nine bytes for each inode
 * number.
 */
import { isDirectory as isDirectoryMode, S_IFDIR, S_IFMT } from '../file-mode.js'
import { nameFromRow } from '../index/row.js'
import { ROOT_INO } from '../tree/tree.js'
import { type CheckContext, finding, parsed } from './check-context.js'
import { compared } from './check-inodes.js'
import type { Finding } from './finding.js'

/** Links are not checked if inode numbers go beyond this. A writer numbers from 1 without gap. */
const MAX_GRAPH_INODES = 64 * 1024 * 1024

const UNKNOWN = 0
const REACHABLE = 1
const LOST = 2
const ON_PATH = 3

/** Facts about each inode number, which is the position in the arrays. */
interface Graph {
  /** The parent of a directory; 0 if no directory names it. */
  readonly parent: Uint32Array
  /** Number of names of an inode; for a directory, number of subdirectories. */
  readonly links: Uint32Array
  readonly state: Uint8Array
}

export function* checkNames(context: CheckContext): Generator<Finding> {
  const last = context.count('SELECT max(ino) FROM inode')
  const inodes = context.count('SELECT count(*) FROM inode')
  if (context.count(`SELECT count(*) FROM inode WHERE ino=${ROOT_INO}`) === 0) {
    yield finding('invalid-root', `inode ${ROOT_INO}`, 'there is no root')
  }
  if (last !== inodes) {
    yield finding('not-canonical', 'inode', `${inodes} inodes are numbered up to ${last}`)
  }
  if (last > MAX_GRAPH_INODES) {
    const detail = `inode numbers up to ${last}; links are checked up to ${MAX_GRAPH_INODES}`
    yield finding('not-canonical', 'inode', detail)
    return
  }
  const graph = {
    parent: new Uint32Array(last + 1),
    links: new Uint32Array(last + 1),
    state: new Uint8Array(last + 1),
  }
  yield* readEntries(context, graph)
  yield* findPaths(context, graph)
  yield* checkLinks(context, graph)
}

function* readEntries(context: CheckContext, graph: Graph): Generator<Finding> {
  const sql =
    'SELECT e.parent,e.name,e.ino,i.mode,p.mode FROM entry e LEFT JOIN inode i ON i.ino=e.ino ' +
    'LEFT JOIN inode p ON p.ino=e.parent ORDER BY e.parent,e.name'
  let entries = 0
  let nextIno = ROOT_INO + 1
  for (const [parent, name, ino, mode, parentMode] of context.rows(sql)) {
    entries++
    const where = `entry ${String(parent)}`
    const result = parsed(where, () => nameFromRow(name, Number(parent)))
    if ('code' in result) yield result
    if (!isDirectory(parentMode)) {
      yield finding('orphan-entry', where, 'there is no such directory')
      continue
    }
    if (typeof ino !== 'number' || typeof parent !== 'number' || typeof mode !== 'number') {
      yield finding('dangling-entry', where, `names inode ${String(ino)}, which is not there`)
      continue
    }
    if (ino === nextIno) nextIno++
    else if (ino > nextIno || isDirectory(mode)) {
      yield finding('not-canonical', where, `names inode ${ino} where ${nextIno} was expected`)
      nextIno = Math.max(nextIno, ino + 1)
    }
    yield* countLink(graph, parent, ino, mode)
  }
  yield* compared('entries', context.meta.entries, entries)
}

function* countLink(graph: Graph, parent: number, ino: number, mode: number): Generator<Finding> {
  if (!isDirectory(mode)) {
    graph.links[ino] = (graph.links[ino] ?? 0) + 1
    return
  }
  graph.links[parent] = (graph.links[parent] ?? 0) + 1
  if (ino === ROOT_INO) {
    yield finding('invalid-root', `entry ${parent}`, 'names the root')
  } else if (graph.parent[ino] === 0) {
    graph.parent[ino] = parent
  } else {
    const others = `directories ${graph.parent[ino] ?? 0} and ${parent}`
    yield finding('linked-directory', `inode ${ino}`, `is named in ${others}`)
  }
}

/**
 * Follows every directory up to the root, each step once, then marks all other reachable inodes.
 */
function* findPaths(context: CheckContext, graph: Graph): Generator<Finding> {
  const { parent, state } = graph
  state[ROOT_INO] = REACHABLE
  for (const [ino] of context.rows(`SELECT ino FROM inode WHERE mode&${S_IFMT}=${S_IFDIR}`)) {
    if (typeof ino !== 'number') continue
    const path: number[] = []
    let at = ino
    while (at !== 0 && state[at] === UNKNOWN) {
      state[at] = ON_PATH
      path.push(at)
      at = parent[at] ?? 0
    }
    if (at !== 0 && state[at] === ON_PATH) {
      yield finding('directory-cycle', `inode ${at}`, 'the directory is below itself')
    }
    const verdict = at !== 0 && state[at] === REACHABLE ? REACHABLE : LOST
    for (const step of path) state[step] = verdict
  }
  const sql = `SELECT e.ino,e.parent FROM entry e JOIN inode i ON i.ino=e.ino WHERE i.mode&${S_IFMT}<>${S_IFDIR}`
  for (const [ino, directory] of context.rows(sql)) {
    if (typeof ino !== 'number' || typeof directory !== 'number') continue
    if (state[directory] === REACHABLE) state[ino] = REACHABLE
  }
}

function* checkLinks(context: CheckContext, graph: Graph): Generator<Finding> {
  const merged = context.meta.kind === 'merged'
  for (const [ino, mode, nlink] of context.rows('SELECT ino,mode,nlink FROM inode ORDER BY ino')) {
    if (typeof ino !== 'number' || typeof nlink !== 'number') continue
    const where = `inode ${ino}`
    if (graph.state[ino] !== REACHABLE) {
      yield finding('unreachable-inode', where, 'no path leads to it')
      continue
    }
    const links = graph.links[ino] ?? 0
    if (isDirectory(mode)) {
      // overlayfs reports 1 for a directory that it merges from several layers.
      if (nlink === links + 2 || (merged && nlink === 1)) continue
      yield finding('wrong-nlink', where, `nlink ${nlink}, but ${links} subdirectories`)
    } else if (links > nlink || (!merged && links !== nlink)) {
      // In a merged tree, upper layers may hide some of the names.
      yield finding('wrong-nlink', where, `nlink ${nlink}, but ${links} names`)
    }
  }
}

function isDirectory(mode: unknown): boolean {
  return typeof mode === 'number' && isDirectoryMode(mode)
}
