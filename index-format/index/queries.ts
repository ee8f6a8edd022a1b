/**
 * The SQL statements of `Index`. A FUSE request is answered with one statement where possible,
 * because a statement costs more than the rows it finds.
 */
import {
  MAX_EXTENTS_PER_FILE,
  MAX_FRAMES_PER_PACK,
  MAX_LINK_TARGET_BYTES,
  MAX_NAME_BYTES,
  MAX_XATTR_NAME_BYTES,
  MAX_XATTR_VALUE_BYTES,
  MAX_XATTRS_PER_INODE,
} from '../limits.js'
import { INODE_COLUMNS } from './row.js'

/**
 * A blob column, or NULL if the blob is over `maxBytes`. SQLite knows the length without reading
 * the blob, so that a hostile file cannot make us allocate memory for it.
 */
const bounded = (column: string, maxBytes: number): string =>
  `CASE WHEN length(${column})<=${maxBytes} THEN ${column} END`

const NAME = bounded('e.name', MAX_NAME_BYTES)
const TARGET = bounded('target', MAX_LINK_TARGET_BYTES)
const XATTR_NAME = bounded('name', MAX_XATTR_NAME_BYTES)
const XATTR_VALUE = bounded('value', MAX_XATTR_VALUE_BYTES)
const INODE = INODE_COLUMNS.map((column) => `i.${column}`).join()
/** The statements of `Index`, each prepared when it is first needed. */
export const QUERIES = {
  inode: `SELECT ${INODE} FROM inode i WHERE i.ino=?`,
  lookup: 'SELECT ino FROM entry WHERE parent=? AND name=?',
  lookupInode: `SELECT e.ino,${INODE} FROM entry e LEFT JOIN inode i ON i.ino=e.ino WHERE e.parent=? AND e.name=?`,
  readdir:
    `SELECT ${NAME},e.ino,i.mode FROM entry e LEFT JOIN inode i ON i.ino=e.ino ` +
    'WHERE e.parent=? AND e.name>? ORDER BY e.name LIMIT ?',
  readdirPlus:
    `SELECT ${NAME},e.ino,${INODE} FROM entry e LEFT JOIN inode i ON i.ino=e.ino ` +
    'WHERE e.parent=? AND e.name>? ORDER BY e.name LIMIT ?',
  entryFrom: 'SELECT parent,ino FROM entry WHERE parent>=? ORDER BY parent,name LIMIT 1',
  nameOf: `SELECT ${NAME} FROM entry e WHERE parent=? AND ino=? LIMIT 1`,
  nameAt: `SELECT ${NAME} FROM entry e WHERE parent=? ORDER BY name LIMIT 1 OFFSET ?`,
  readlink: `SELECT mode,size,${TARGET} FROM inode WHERE ino=?`,
  xattrs: `SELECT ${XATTR_NAME},${XATTR_VALUE} FROM xattr WHERE ino=? ORDER BY name LIMIT ${MAX_XATTRS_PER_INODE + 1}`,
  xattr: `SELECT ${XATTR_VALUE} FROM xattr WHERE ino=? AND name=?`,
  inlineExtent: 'SELECT mode,size,pack,raw_offset FROM inode WHERE ino=?',
  extents:
    'SELECT offset,length,pack,raw_offset FROM extent WHERE ino=? ORDER BY offset ' +
    `LIMIT ${MAX_EXTENTS_PER_FILE + 1}`,
  packs: 'SELECT key,digest,size,raw_size FROM pack ORDER BY key',
  pack: 'SELECT key,digest,size,raw_size FROM pack WHERE key=?',
  packKey: 'SELECT key FROM pack WHERE digest=?',
  frames:
    'SELECT raw_offset,raw_size,offset,size,digest FROM frame WHERE pack=? ORDER BY raw_offset ' +
    `LIMIT ${MAX_FRAMES_PER_PACK + 1}`,
} as const

export type QueryName = keyof typeof QUERIES
