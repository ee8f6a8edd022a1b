export { checkIndex, type CheckOptions } from './check/check-index.js'
export type { OpenPack } from './check/check-packs.js'
export type { Finding, FindingCode } from './check/finding.js'
export {
  type Compression,
  compressionOf,
  decompress,
  type DecompressOptions,
} from './compression/decompress.js'
export {
  type Digest,
  bytesFromDigest,
  digestFromBytes,
  digestFromString,
  digestOf,
  hexOf,
  isDigest,
} from './digest.js'
export { IndexFormatError, type IndexFormatErrorCode } from './errors.js'
export { escapeBytes } from './escape.js'
export { isDirectory, isRegular } from './file-mode.js'
export { Index, type IndexOptions } from './index/index-file.js'
export { pathOf } from './index/inode-path.js'
export type { IndexKind, IndexMeta } from './index/index-meta.js'
export { writeIndex, type WriteIndexOptions, type WrittenIndex } from './index/index-writer.js'
export type { PackRef } from './index/pack-rows.js'
export { PAGE_BYTES as INDEX_PAGE_BYTES } from './index/schema.js'
export {
  bytesFromStartupPages,
  type StartupPages,
  startupPagesFromBytes,
  startupPagesOf,
} from './index/startup-pages.js'
export type { ContentSink } from './layer/content-sink.js'
export { LayerBuilder, type LayerBuilderOptions } from './layer/layer-builder.js'
export type { LayerTree } from './layer/layer-tree.js'
export {
  isOpaque,
  isWhiteout,
  OPAQUE_XATTR,
  USER_OPAQUE_XATTR,
  visibleXattrs,
} from './layer/whiteout.js'
export {
  MAX_FRAME_BYTES,
  MAX_FRAME_RAW_BYTES,
  MAX_FRAMES_PER_PACK,
  MAX_INDEX_BYTES,
  MAX_RECIPE_BYTES,
} from './limits.js'
export { MergedTree, type MergedTreeOptions, type Origin } from './merge/merged-tree.js'
export { ResolvedLayer } from './merge/resolved-layer.js'
export { decodeFrame } from './pack/frame-codec.js'
export { type FrameCompressor, InlineCompressor } from './pack/frame-compressor.js'
export { FORMAT_FRAME_SIZES, type FrameSizes } from './pack/frame-sizes.js'
export { type KnownContent, type KnownPiece, NOTHING_KNOWN } from './pack/known-content.js'
export {
  type PackedContent,
  packFiles,
  type PackFilesOptions,
  type PackInput,
  type StoredContent,
} from './pack/pack-files.js'
export { packInputsOf } from './pack/pack-inputs.js'
export { PackReader } from './pack/pack-reader.js'
export { type Frame, frameIndexAt, type PackTable } from './pack/pack-table.js'
export { readPackTable } from './pack/pack-tail.js'
export { type PackSink, PackWriter, type PackWriterOptions } from './pack/pack-writer.js'
export { ThreadCompressor } from './pack/thread-compressor.js'
export { AccessOrder, mergedProfile, profilesByCommand } from './profile/access-order.js'
export { repeatedStarts } from './profile/repeated-starts.js'
export { groupedProfile } from './profile/grouped-profile.js'
export { combinedRanges, type SharedRange } from './profile/combined-profile.js'
export {
  bytesFromProfile,
  directoriesOf,
  isProfileOf,
  type Profile,
  PROFILE_PAGE_BYTES,
  profileFromBytes,
  type ProfileRange,
} from './profile/profile.js'
export {
  extentsWithStartup,
  startupContent,
  type StartupContent,
  type StartupPiece,
  type StartupPlace,
} from './profile/startup-content.js'
export { packStartup, type PackStartupOptions, type StartupPacks } from './profile/startup-packs.js'
export {
  bytesFromStartupPlan,
  profilesOfPlan,
  type StartupPlan,
  startupPlanFromBytes,
  type StartupRun,
} from './profile/startup-plan.js'
export type { RandomAccess } from './random-access.js'
export { directoryOfLayerUrl, type LayerUrl, textFromLayerUrl } from './recipe/layer-url.js'
export {
  type BlobRef,
  bytesFromRecipe,
  EMBEDDED_INDEX_FILE_NAME,
  GUESS_FILE_NAME,
  type IndexRef,
  type LayerFileRef,
  type Recipe,
  RECIPE_FILE_NAME,
  type RecipeLayer,
  recipeFromBytes,
  STARTUP_PAGES_FILE_NAME,
  STARTUP_PLAN_FILE_NAME,
  type StartupRef,
  type ThinSection,
} from './recipe/recipe.js'
export type { SparseRun, TarMember, TarMemberKind } from './tar/tar-member.js'
export { readTar, type TarReadOptions } from './tar/tar-reader.js'
export { extentsWithin, firstExtentEndingAfter } from './tree/extent-search.js'
export { type ReadPack, readFileRun } from './tree/file-run.js'
export { pathsOf } from './tree/tree-paths.js'
export { DirectoryCursor, joinPath, walkTree } from './tree/tree-walk.js'
export {
  type DirEntry,
  type DirEntryPlus,
  type Extent,
  type Inode,
  ROOT_INO,
  type Tree,
  type Xattr,
} from './tree/tree.js'
