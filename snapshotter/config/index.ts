export type {
  CacheConfig,
  Config,
  FetchConfig,
  FuseConfig,
  LogConfig,
  RegistryConfig,
  StoreMirror,
} from './config.js'
export type { ListenAddress } from './key.js'
export { DEFAULT_CONFIG_PATH, loadConfig } from './load-config.js'
export { configFromToml } from './parse-config.js'
