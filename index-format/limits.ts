/**
 * Every limit of the format, in one place. A reader refuses what is over a limit before it allocates
 * or seeks; a writer never produces it. FORMAT.md lists them with their reasons.
 */

const KIB = 1024
const MIB = 1024 * KIB

/** Bytes of one path component: NAME_MAX of Linux. */
export const MAX_NAME_BYTES = 255
/** Bytes of a symbolic link's target: PATH_MAX of Linux less the final NUL. */
export const MAX_LINK_TARGET_BYTES = 4095
/** Bytes of an extended attribute's name: XATTR_NAME_MAX of Linux. */
export const MAX_XATTR_NAME_BYTES = 255
/** Bytes of an extended attribute's value: XATTR_SIZE_MAX of Linux. */
export const MAX_XATTR_VALUE_BYTES = 64 * KIB
/** Names of one inode's attributes, each with its NUL, as listxattr(2) returns them: XATTR_LIST_MAX. */
export const MAX_XATTR_LIST_BYTES = 64 * KIB

/** Inode numbers: a node id of the mounted filesystem keeps 32 bits for them. */
export const MAX_INO = 2 ** 32 - 1
/** Unsigned 32-bit attributes: uid, gid, nlink, rdev. */
export const MAX_U32 = 2 ** 32 - 1
/** Bytes of one file: what a number holds exactly. */
export const MAX_FILE_BYTES = Number.MAX_SAFE_INTEGER
/** Extents of one file: 1 TiB in frames of the usual size. */
export const MAX_EXTENTS_PER_FILE = 1_000_000
/** Seconds since 1970 that containerd can apply: 2^63 nanoseconds; it replaces any other time by 0. */
export const MAX_MTIME_SEC = 9_223_372_036
export const MAX_NSEC = 999_999_999

/** Uncompressed bytes of one pack: what eviction and upload work with has a bounded size. */
export const MAX_PACK_RAW_BYTES = 64 * MIB
/** Uncompressed bytes of one frame: what a reader decompresses into memory at once. */
export const MAX_FRAME_RAW_BYTES = 4 * MIB
/** Compressed bytes of one frame: ZSTD_compressBound of the largest frame, rounded up. */
export const MAX_FRAME_BYTES = MAX_FRAME_RAW_BYTES + 64 * KIB
/** Frames of one pack: the table of a full pack has 2.5 MiB. */
export const MAX_FRAMES_PER_PACK = 65_536
/** The stored pack file: no frame may be larger compressed than ZSTD_compressBound says. */
export const MAX_PACK_BYTES = 2 * MAX_PACK_RAW_BYTES
/** Packs that one index refers to. */
export const MAX_PACKS = 1_000_000

/** A file of at least this size is cut into frames of its own; a smaller one shares a frame. */
export const LARGE_FILE_BYTES = 256 * KIB
/** Uncompressed bytes of a frame that small files share. */
export const SMALL_FRAME_RAW_BYTES = 512 * KIB
/** Uncompressed bytes of a frame of a startup pack: the first ones are to be there soon. */
export const STARTUP_FRAME_RAW_BYTES = 256 * KIB
/** Content-defined cutting of large files: no cut before, the cut expected at, a cut forced at. */
export const MIN_CUT_BYTES = 512 * KIB
export const NORMAL_CUT_BYTES = MIB
export const MAX_CUT_BYTES = 4 * MIB

/** The SQLite file of one index. */
export const MAX_INDEX_BYTES = 16 * 1024 * MIB
/** thin.json. */
export const MAX_RECIPE_BYTES = 4 * MIB
/** Layers of one recipe: overlayfs takes at most 500 lower directories. */
export const MAX_RECIPE_LAYERS = 500
/** Stores of one recipe. */
export const MAX_RECIPE_STORES = 16
/** Bytes of a URL or origin in a recipe. */
export const MAX_RECIPE_TEXT_BYTES = 4096

/** Bytes of a tar member's path: PATH_MAX of Linux, which containerd's unpacking runs into too. */
export const MAX_MEMBER_PATH_BYTES = 4096
/** Bytes of one pax extended header: what Go's archive/tar, and so containerd, accepts. */
export const MAX_PAX_HEADER_BYTES = MIB
/** Data runs of one sparse member: 16 bytes each while the member is being read. */
export const MAX_SPARSE_RUNS = 1_000_000
/** Members of one layer: ten times the largest layer this project is measured with. */
export const MAX_LAYER_MEMBERS = 10_000_000
/** Uncompressed bytes of one layer: what a decompression bomb may cost at most. */
export const MAX_LAYER_RAW_BYTES = 1024 * 1024 * MIB
/** Links followed while one path is resolved: what containerd follows. */
export const MAX_SYMLINKS_FOLLOWED = 255
/** Directories of one path: what a path of MAX_MEMBER_PATH_BYTES can hold. */
export const MAX_TREE_DEPTH = MAX_MEMBER_PATH_BYTES / 2
/** Attributes of one inode: their names must fit in one listxattr(2) answer anyway. */
export const MAX_XATTRS_PER_INODE = 1024

/** A profile: 30 bytes for each range. */
export const MAX_PROFILE_BYTES = 32 * MIB
/** A startup plan, decompressed: as a profile, and a path for each file. */
export const MAX_STARTUP_PLAN_BYTES = 64 * MIB
/** Startup packs of one image: 4 GiB are more than any start reads. */
export const MAX_STARTUP_PACKS = 64
/** Pages of an index that travel with a start, uncompressed: more would be no less than the index. */
export const MAX_STARTUP_PAGES_BYTES = 32 * MIB
/** Directories that a profile names. */
export const MAX_PROFILE_DIRECTORIES = 100_000
/** Starts of one image that have profiles of their own: one bit each, of a number's 31. */
export const MAX_STARTS = 30
/** Ranges of one profile: a start that reads a million different places is not a start. */
export const MAX_PROFILE_RANGES = 1_000_000
