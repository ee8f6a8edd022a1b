/** Every key of the configuration, with its type, its bounds and its default. */
import {
  choiceKey,
  countKey,
  durationKey,
  listenKey,
  optionalDurationKey,
  optionalPathKey,
  optionalTextKey,
  pathKey,
  pathListKey,
  sizeKey,
  storePrefixListKey,
  storeUrlKey,
  storeUrlListKey,
  switchKey,
} from './key.js'

const MIB = 2 ** 20
const TIB = 2 ** 40
const SECOND_MS = 1000
const HOUR_MS = 3600 * SECOND_MS

/** Keys of the document and of its tables. */
export const KEYS = {
  root: pathKey({ path: 'root', fallback: '/var/lib/thin-snapshotter', mountable: true }),
  state: pathKey({ path: 'state', fallback: '/run/thin-snapshotter' }),
  address: pathKey({
    path: 'address',
    fallback: '/run/thin-snapshotter/thin-snapshotter.sock',
  }),
  adminAddress: pathKey({
    path: 'admin_address',
    fallback: '/run/thin-snapshotter/admin.sock',
  }),
  dockerConfig: optionalPathKey({ path: 'docker_config', fallback: '' }),
  logLevel: choiceKey({
    path: 'log.level',
    fallback: 'info',
    choices: ['error', 'warn', 'info', 'debug'],
  }),
  logFormat: choiceKey({ path: 'log.format', fallback: 'json', choices: ['json', 'text'] }),
  metricsAddress: listenKey({ path: 'metrics.address', fallback: '' }),
  cacheDirectory: optionalPathKey({ path: 'cache.directory', fallback: '' }),
  cacheSize: sizeKey({ path: 'cache.size', fallback: '10GiB', min: 64 * MIB, max: 1024 * TIB }),
  cacheMemorySize: sizeKey({
    path: 'cache.memory_size',
    fallback: '64MiB',
    min: 8 * MIB,
    max: TIB,
  }),
  fetchConcurrency: countKey({ path: 'fetch.concurrency', fallback: 8, min: 1, max: 256 }),
  fetchConnections: countKey({
    path: 'fetch.connections_per_origin',
    fallback: 8,
    min: 1,
    max: 256,
  }),
  fetchAttempts: countKey({ path: 'fetch.attempts', fallback: 5, min: 1, max: 100 }),
  fetchConnectTimeout: durationKey({
    path: 'fetch.connect_timeout',
    fallback: '10s',
    min: 100,
    max: HOUR_MS,
  }),
  fetchAnswerTimeout: durationKey({
    path: 'fetch.answer_timeout',
    fallback: '15s',
    min: 100,
    max: HOUR_MS,
  }),
  fetchStallTimeout: durationKey({
    path: 'fetch.stall_timeout',
    fallback: '15s',
    min: 100,
    max: HOUR_MS,
  }),
  fetchDeadline: durationKey({
    path: 'fetch.deadline',
    fallback: '60s',
    min: SECOND_MS,
    max: HOUR_MS,
  }),
  fetchRetryFor: optionalDurationKey({
    path: 'fetch.retry_for',
    none: 'fetch.deadline',
    min: 0,
    max: HOUR_MS,
  }),
  fetchDecoders: countKey({ path: 'fetch.decoders', fallback: 1, min: 1, max: 64 }),
  prefetchConcurrency: countKey({ path: 'prefetch.concurrency', fallback: 4, min: 1, max: 256 }),
  prefetchBandwidth: sizeKey({ path: 'prefetch.bandwidth', fallback: '0B', min: 0, max: TIB }),
  prefetchLibraries: switchKey({ path: 'prefetch.libraries', fallback: true }),
  backgroundComplete: choiceKey({
    path: 'background.complete',
    fallback: 'none',
    choices: ['none', 'all'],
  }),
  backgroundBandwidth: sizeKey({
    path: 'background.bandwidth',
    fallback: '20MB',
    min: 0,
    max: TIB,
  }),
  backgroundQuiet: durationKey({
    path: 'background.quiet',
    fallback: '30s',
    min: 0,
    max: HOUR_MS,
  }),
  fuseDispatchers: countKey({ path: 'fuse.dispatchers', fallback: 2, min: 1, max: 64 }),
  fuseReadAhead: countKey({
    path: 'fuse.read_ahead_kib',
    fallback: 1024,
    min: 0,
    max: 64 * 1024,
  }),
  watchdogDeadline: durationKey({
    path: 'watchdog.deadline',
    fallback: '30s',
    min: 0,
    max: HOUR_MS,
  }),
  watchdogStandby: switchKey({ path: 'watchdog.standby', fallback: true }),
  profileLearn: switchKey({ path: 'profile.learn', fallback: true }),
  profileLearnPeriod: durationKey({
    path: 'profile.learn_period',
    fallback: '30s',
    min: SECOND_MS,
    max: HOUR_MS,
  }),
  profileShared: switchKey({ path: 'profile.shared', fallback: true }),
  hostDirectoriesAllow: pathListKey('host_directories.allow'),
  storesAllow: storePrefixListKey({
    path: 'stores.allow',
    fallback: ['oci+https://', 'https://'],
  }),
} as const

/** Keys of one `[[store]]`. */
export const STORE_KEYS = {
  prefix: storeUrlKey('prefix'),
  urls: storeUrlListKey('urls'),
} as const

/** Keys of one `[registry."host:port"]`. */
export const REGISTRY_KEYS = {
  username: optionalTextKey({ path: 'username', fallback: '' }),
  passwordFile: optionalPathKey({ path: 'password_file', fallback: '' }),
  ca: optionalPathKey({ path: 'ca', fallback: '' }),
  retryFor: optionalDurationKey({
    path: 'retry_for',
    none: 'fetch.retry_for',
    min: 0,
    max: HOUR_MS,
  }),
  plainHttp: switchKey({ path: 'plain_http', fallback: false }),
} as const
