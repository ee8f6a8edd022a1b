export {
  type CacheConfig,
  type Config,
  configFromToml,
  DEFAULT_CONFIG_PATH,
  type FetchConfig,
  type FuseConfig,
  type ListenAddress,
  loadConfig,
  type LogConfig,
  type RegistryConfig,
  type StoreMirror,
} from './config/index.js'
export { convertImage, type ConvertModules, type ConvertOptions } from './publish/convert/index.js'
export type { ConvertProgress, ConvertResult, ProgressTask } from './publish/convert/index.js'
export { SnapshotterError, type SnapshotterErrorCode } from './errors.js'
export {
  type CredentialSource,
  DockerConfigCredentials,
  dockerConfigPath,
  RegistryAuthorizer,
  RegistryConnection,
} from './images/registry/index.js'
export { StoreServer, type StoreServerOptions } from './serve/index.js'
export {
  SnapshotsServer,
  type SnapshotsServerModules,
  type SnapshotsServerOptions,
} from './node/service/snapshots-server.js'
export { AllowedDirectories } from './node/snapshots/allowed-directories.js'
export { HostDirectories } from './node/snapshots/host-directories.js'
export { HostDirectoryLayers } from './node/snapshots/host-directory-layers.js'
export { detectOverlayOptions } from './node/snapshots/overlay-options.js'
export type { Kind, Labels, Snapshot } from './node/snapshots/snapshot.js'
export type {
  CommitOptions,
  PrepareOptions,
  UpdateOptions,
} from './node/snapshots/snapshot-options.js'
export {
  SnapshotStore,
  type SnapshotStoreModules,
  type SnapshotStoreOptions,
} from './node/snapshots/snapshot-store.js'
export type {
  LowerDirectory,
  ThinLayer,
  ThinLayerPlace,
  ThinLayers,
  Usage,
} from './node/snapshots/thin-layers.js'
