export { RegistryAuthorizer } from './registry-authorizer.js'
export { boundedContent } from './bounded-content.js'
export {
  type Credential,
  type CredentialSource,
  DockerConfigCredentials,
  anonymous,
  dockerConfigPath,
} from './credentials.js'
export { JsonObject } from './json-object.js'
export {
  MAX_BLOB_BYTES,
  MAX_CONFIG_BYTES,
  MAX_LAYERS,
  MAX_MANIFEST_BYTES,
} from './registry-limits.js'
export {
  type Descriptor,
  type ImageIndex,
  type ImageManifest,
  type Platform,
  descriptorToJson,
  parseManifest,
  platformFromJson,
} from './manifest.js'
export {
  OCI_CONFIG,
  OCI_EMPTY,
  OCI_INDEX,
  OCI_LAYER_GZIP,
  OCI_LAYER_TAR,
  OCI_MANIFEST,
  THIN_CONTENT,
  THIN_INDEX,
  THIN_PACK,
  THIN_PROFILE,
  THIN_PROFILES,
  isIndexType,
} from './media-types.js'
export { formatPlatform, matchesPlatform, parsePlatform } from './platform.js'
export {
  type ImageReference,
  formatReference,
  isLoopbackRegistry,
  parseReference,
  parseRepository,
} from './reference.js'
export { RegistryConnection } from './registry-connection.js'
export type { BlobContent, Repository, StoredManifest } from './repository.js'
