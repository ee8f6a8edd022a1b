/**
 * The tables of an index file, as FORMAT.md explains them. A reader compares the schema of a file
 * with this text and refuses any difference, so that a view, a trigger or a generated column in a
 * hostile file is never run.
 */

/** `PRAGMA application_id`: the ASCII letters "THIN". */
export const APPLICATION_ID = 0x5448494e
/** `PRAGMA user_version`: the version of the index format. */
export const INDEX_VERSION = 1
export const PAGE_BYTES = 4096

/** In the order in which they are created. sqlite_schema lists them in the same order. */
export const TABLES: readonly { readonly name: string; readonly sql: string }[] = [
  {
    name: 'meta',
    sql: 'CREATE TABLE meta(key TEXT PRIMARY KEY NOT NULL,value INTEGER NOT NULL)STRICT,WITHOUT ROWID',
  },
  {
    name: 'inode',
    sql:
      'CREATE TABLE inode(ino INTEGER PRIMARY KEY NOT NULL,mode INTEGER NOT NULL,uid INTEGER NOT NULL,' +
      'gid INTEGER NOT NULL,nlink INTEGER NOT NULL,size INTEGER NOT NULL,holes INTEGER NOT NULL,' +
      'rdev INTEGER NOT NULL,mtime_sec INTEGER NOT NULL,mtime_nsec INTEGER NOT NULL,' +
      'implied INTEGER NOT NULL,pack INTEGER,raw_offset INTEGER,target BLOB)STRICT',
  },
  {
    name: 'entry',
    sql:
      'CREATE TABLE entry(parent INTEGER NOT NULL,name BLOB NOT NULL,ino INTEGER NOT NULL,' +
      'PRIMARY KEY(parent,name))STRICT,WITHOUT ROWID',
  },
  {
    name: 'xattr',
    sql:
      'CREATE TABLE xattr(ino INTEGER NOT NULL,name BLOB NOT NULL,value BLOB NOT NULL,' +
      'PRIMARY KEY(ino,name))STRICT,WITHOUT ROWID',
  },
  {
    name: 'extent',
    sql:
      'CREATE TABLE extent(ino INTEGER NOT NULL,offset INTEGER NOT NULL,length INTEGER NOT NULL,' +
      'pack INTEGER NOT NULL,raw_offset INTEGER NOT NULL,PRIMARY KEY(ino,offset))STRICT,WITHOUT ROWID',
  },
  {
    name: 'pack',
    sql:
      'CREATE TABLE pack(key INTEGER PRIMARY KEY NOT NULL,digest BLOB NOT NULL,size INTEGER NOT NULL,' +
      'raw_size INTEGER NOT NULL)STRICT',
  },
  {
    name: 'frame',
    sql:
      'CREATE TABLE frame(pack INTEGER NOT NULL,raw_offset INTEGER NOT NULL,raw_size INTEGER NOT NULL,' +
      'offset INTEGER NOT NULL,size INTEGER NOT NULL,digest BLOB NOT NULL,' +
      'PRIMARY KEY(pack,raw_offset))STRICT,WITHOUT ROWID',
  },
]
