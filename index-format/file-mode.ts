/** File types and bits of `st_mode`, with the values of Linux's stat.h. */

export const S_IFMT = 0o170000
export const S_IFSOCK = 0o140000
export const S_IFLNK = 0o120000
export const S_IFREG = 0o100000
export const S_IFBLK = 0o060000
export const S_IFDIR = 0o040000
export const S_IFCHR = 0o020000
export const S_IFIFO = 0o010000
export const S_ISGID = 0o002000

/** Whether a mode is a directory's. */
export function isDirectory(mode: number): boolean {
  return (mode & S_IFMT) === S_IFDIR
}

/** Whether a mode is a symbolic link's. */
export function isSymlink(mode: number): boolean {
  return (mode & S_IFMT) === S_IFLNK
}

/** Whether a mode is a regular file's. */
export function isRegular(mode: number): boolean {
  return (mode & S_IFMT) === S_IFREG
}
