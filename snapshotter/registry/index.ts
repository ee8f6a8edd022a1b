export { RegistryAuthorizer, type RegistryAuthorizerModules } from './authorizer.js'
export { boundedBody } from './bounded-body.js'
export {
  type Credential,
  type CredentialSource,
  DockerConfigCredentials,
  type DockerConfigOptions,
  anonymous,
  dockerConfigPath,
} from './credentials.js'
export { JsonObject } from './json-object.js'
export { MAX_BLOB_BYTES, MAX_CONFIG_BYTES, MAX_LAYERS, MAX_MANIFEST_BYTES } from './limits.js'
export {
  type Descriptor,
  type ImageIndex,
  type ImageManifest,
  type Platform,
  descriptorFromJson,
  descriptorToJson,
  parseManifest,
  platformFromJson,
} from './manifest.js'
export {
  DOCKER_MANIFEST,
  MANIFEST_TYPES,
  OCI_CONFIG,
  OCI_EMPTY,
  OCI_INDEX,
  OCI_LAYER_GZIP,
  OCI_LAYER_TAR,
  OCI_MANIFEST,
  THIN_CONTENT,
  THIN_INDEX,
  THIN_PACK,
  isIndexType,
  isManifestType,
} from './media-types.js'
export { formatPlatform, matchesPlatform, parsePlatform } from './platform.js'
export {
  type ImageReference,
  formatReference,
  isLoopbackRegistry,
  parseReference,
  parseRepository,
} from './reference.js'
export {
  RegistryConnection,
  type RegistryConnectionModules,
  type RegistryConnectionOptions,
} from './registry-connection.js'
export type { BlobContent, Repository, StoredManifest } from './repository.js'
