/**
 * Every limit of the format, in one place. A reader refuses input over a limit before it allocates
 * or seeks. A writer never produces such output. FORMAT.md lists the limits with their reasons.
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
/** Bytes of one inode's attribute names, each with its NUL, as in listxattr(2): XATTR_LIST_MAX. */
export const MAX_XATTR_LIST_BYTES = 64 * KIB

/** The highest inode number: a node id of the mounted filesystem has 32 bits for it. */
export const MAX_INO = 2 ** 32 - 1
/** The highest value of the unsigned 32-bit attributes uid, gid, nlink and rdev. */
export const MAX_U32 = 2 ** 32 - 1
/** Bytes of one file: the highest integer that a JavaScript number holds exactly. */
export const MAX_FILE_BYTES = Number.MAX_SAFE_INTEGER
/** Extents of one file: enough for 1 TiB in frames of the usual size. */
export const MAX_EXTENTS_PER_FILE = 1_000_000
/** The last second since 1970 that containerd applies: 2^63 ns. It replaces any other time by 0. */
export const MAX_MTIME_SEC = 9_223_372_036
export const MAX_NSEC = 999_999_999

/** Uncompressed bytes of one pack: low, because upload and eviction work on whole packs. */
export const MAX_PACK_RAW_BYTES = 64 * MIB
/** Uncompressed bytes of one frame. A reader decompresses a whole frame into memory. */
export const MAX_FRAME_RAW_BYTES = 4 * MIB
/** Compressed bytes of one frame: ZSTD_compressBound of the largest frame, rounded up. */
export const MAX_FRAME_BYTES = MAX_FRAME_RAW_BYTES + 64 * KIB
/** Frames of one pack: a table of this many frames has 2.5 MiB. */
export const MAX_FRAMES_PER_PACK = 65_536
/** Bytes of the stored pack file: incompressible frames (ZSTD_compressBound) and a table fit. */
export const MAX_PACK_BYTES = 2 * MAX_PACK_RAW_BYTES
/** Packs that one index refers to. */
export const MAX_PACKS = 1_000_000

/** A file of at least this size is cut into frames of its own; a smaller one shares a frame. */
export const LARGE_FILE_BYTES = 256 * KIB
/** Uncompressed bytes of a frame that small files share. */
export const SMALL_FRAME_RAW_BYTES = 512 * KIB
/** Uncompressed bytes of a frame of a startup pack: small, so that the first bytes arrive early. */
export const STARTUP_FRAME_RAW_BYTES = 256 * KIB
/** Content-defined cutting of large files: a piece is not cut before this length. */
export const MIN_CUT_BYTES = 512 * KIB
/** From this length of a piece on, the easier cut condition applies; see pack/cutter.ts. */
export const NORMAL_CUT_BYTES = MIB
/** A piece is cut at this length at the latest. */
export const MAX_CUT_BYTES = 4 * MIB

/** Bytes of the SQLite file of one index. */
export const MAX_INDEX_BYTES = 16 * 1024 * MIB
/** Bytes of thin.json. */
export const MAX_RECIPE_BYTES = 4 * MIB
/** Layers of one recipe: overlayfs takes at most 500 lower directories. */
export const MAX_RECIPE_LAYERS = 500
/** Stores of one recipe. */
export const MAX_RECIPE_STORES = 16
/** Bytes of a URL or origin in a recipe. */
export const MAX_RECIPE_TEXT_BYTES = 4096

/** Bytes of a tar member's path: PATH_MAX of Linux. containerd cannot unpack longer ones either. */
export const MAX_MEMBER_PATH_BYTES = 4096
/** Bytes of one pax extended header: the limit of Go's archive/tar, which containerd uses. */
export const MAX_PAX_HEADER_BYTES = MIB
/** Data runs of one sparse member. Each takes 16 bytes of memory while the member is read. */
export const MAX_SPARSE_RUNS = 1_000_000
/** Members of one layer: ten times the largest layer this project is measured with. */
export const MAX_LAYER_MEMBERS = 10_000_000
/** Uncompressed bytes of one layer: the bound on the cost of a decompression bomb. */
export const MAX_LAYER_RAW_BYTES = 1024 * 1024 * MIB
/** Symbolic links followed while one path is resolved: containerd's limit. */
export const MAX_SYMLINKS_FOLLOWED = 255
/** Directories of one path: as many as a path of MAX_MEMBER_PATH_BYTES can have. */
export const MAX_TREE_DEPTH = MAX_MEMBER_PATH_BYTES / 2
/** Attributes of one inode: their names must fit in one listxattr(2) answer anyway. */
export const MAX_XATTRS_PER_INODE = 1024

/** Bytes of a profile: about 30 for each range. */
export const MAX_PROFILE_BYTES = 32 * MIB
/** Bytes of a startup plan, decompressed: those of a profile, and a path for each file. */
export const MAX_STARTUP_PLAN_BYTES = 64 * MIB
/** Startup packs of one image: together 4 GiB, more than any start reads. */
export const MAX_STARTUP_PACKS = 64
/** Bytes of startup pages, decompressed. More would be no smaller than the index itself. */
export const MAX_STARTUP_PAGES_BYTES = 32 * MIB
/** Directories that a profile names. */
export const MAX_PROFILE_DIRECTORIES = 100_000
/** Profiles of one image: each is one bit of a 32-bit integer, whose sign bit is not used. */
export const MAX_STARTS = 30
/** Ranges of one profile: no start reads a million different places. */
export const MAX_PROFILE_RANGES = 1_000_000
