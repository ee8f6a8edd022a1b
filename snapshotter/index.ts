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
export { convertImage, type ConvertModules, type ConvertOptions } from './convert/index.js'
export type { ConvertProgress, ConvertResult, ProgressTask } from './convert/index.js'
export { SnapshotterError, type SnapshotterErrorCode } from './errors.js'
export {
  type CredentialSource,
  DockerConfigCredentials,
  dockerConfigPath,
  RegistryAuthorizer,
  RegistryConnection,
} from './registry/index.js'
export { StoreServer, type StoreServerOptions } from './serve/index.js'
export {
  SnapshotsServer,
  type SnapshotsServerModules,
  type SnapshotsServerOptions,
} from './service/snapshots-server.js'
export { HostDirectories } from './snapshots/host-directories.js'
export { HostDirectoryLayers } from './snapshots/host-directory-layers.js'
export { detectOverlayOptions } from './snapshots/overlay-options.js'
export type { Kind, Labels, Snapshot } from './snapshots/snapshot.js'
export {
  type CommitOptions,
  type PrepareOptions,
  SnapshotStore,
  type SnapshotStoreModules,
  type SnapshotStoreOptions,
  type UpdateOptions,
} from './snapshots/snapshot-store.js'
export type {
  LowerDirectory,
  ThinLayer,
  ThinLayerPlace,
  ThinLayers,
  Usage,
} from './snapshots/thin-layers.js'
