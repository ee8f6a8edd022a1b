/** Checks each inode by itself: attributes, symlink target, extended attributes. */
import { isDirectory, isRegular, isSymlink } from '../file-mode.js'
import { bytesFromRow, INODE_COLUMNS, inodeFromRow } from '../index/row.js'
import {
  MAX_LINK_TARGET_BYTES,
  MAX_XATTR_LIST_BYTES,
  MAX_XATTR_NAME_BYTES,
  MAX_XATTR_VALUE_BYTES,
} from '../limits.js'
import { type CheckContext, finding, parsed, type Row } from './check-context.js'
import type { Finding } from './finding.js'

export function* checkInodes(context: CheckContext): Generator<Finding> {
  let inodes = 0
  let files = 0
  let sizeBytes = 0
  let storedBytes = 0
  for (const row of context.rows(`SELECT ${INODE_COLUMNS.join()},target FROM inode ORDER BY ino`)) {
    inodes++
    const where = `inode ${String(row[0])}`
    const result = parsed(where, () => checkedInode(row))
    if ('code' in result) {
      yield result
      continue
    }
    const inode = result.value
    if (inode.ino === 1 && !isDirectory(inode.mode)) {
      yield finding('invalid-root', where, 'the root is not a directory')
    }
    if (isRegular(inode.mode)) {
      files++
      sizeBytes += inode.sizeBytes
      storedBytes += inode.storedBytes
    }
  }
  yield* compared('inodes', context.meta.inodes, inodes)
  yield* compared('files', context.meta.files, files)
  yield* compared('size', context.meta.sizeBytes, sizeBytes)
  yield* compared('stored', context.meta.storedBytes, storedBytes)
  yield* checkXattrs(context)
}

/** Compares a count of the meta table with the real one. */
export function* compared(key: string, claimed: number, counted: number): Generator<Finding> {
  if (claimed === counted) return
  yield finding('wrong-count', `meta ${key}`, `is ${claimed}, counted ${counted}`)
}

function checkedInode(row: Row): ReturnType<typeof inodeFromRow> {
  const inode = inodeFromRow(row, 0)
  const target = row[INODE_COLUMNS.length]
  if (isSymlink(inode.mode)) {
    const { sizeBytes, ino } = inode
    bytesFromRow(target, sizeBytes, sizeBytes, 'inode', ino, 'target')
    bytesFromRow(target, 1, MAX_LINK_TARGET_BYTES, 'inode', ino, 'target')
  } else if (target !== null) {
    bytesFromRow(null, 0, 0, 'inode', inode.ino, 'target of what is no symbolic link')
  }
  return inode
}

function* checkXattrs(context: CheckContext): Generator<Finding> {
  let any = 0
  let current: unknown
  let listBytes = 0
  const sql =
    'SELECT x.ino,x.name,x.value,i.ino FROM xattr x LEFT JOIN inode i ON i.ino=x.ino ' +
    'ORDER BY x.ino,x.name'
  for (const [ino, name, value, found] of context.rows(sql)) {
    any = 1
    const where = `xattr ${String(ino)}`
    const result = parsed(where, () => {
      bytesFromRow(value, 0, MAX_XATTR_VALUE_BYTES, 'xattr', String(ino), 'value')
      return bytesFromRow(name, 1, MAX_XATTR_NAME_BYTES, 'xattr', String(ino), 'name')
    })
    if ('code' in result) yield result
    else if (result.value.includes(0)) {
      yield finding('invalid-row', where, 'a name holds a NUL')
    }
    if (found === null) yield finding('dangling-xattr', where, 'there is no such inode')
    listBytes = (ino === current ? listBytes : 0) + ('code' in result ? 0 : result.value.length + 1)
    current = ino
    if (listBytes > MAX_XATTR_LIST_BYTES) {
      yield finding(
        'invalid-row',
        where,
        `${listBytes} bytes of names, at most ${MAX_XATTR_LIST_BYTES}`,
      )
    }
  }
  yield* compared('xattrs', context.meta.xattrs ? 1 : 0, any)
}
