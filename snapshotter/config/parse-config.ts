/** Parses the text of a configuration file. */
import { join } from 'node:path'
import { parse, TomlError } from 'smol-toml'
import { SnapshotterError } from '../errors.js'
import type { Config, RegistryConfig, StoreMirror } from './config.js'
import { KEYS, REGISTRY_KEYS, STORE_KEYS } from './keys.js'
import { TableReader } from './table-reader.js'

/** A host, or host:port, as in an image reference. */
const REGISTRY_HOST =
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/

/**
 * Parses TOML. An empty text gives the defaults. Throws `invalid-argument` with one line for each
 * fault. `where` is the name of the file.
 */
export function configFromToml(text: string, where: string): Config {
  const reader = new TableReader(tableFromToml(text, where))
  const config = configFrom(reader)
  reader.reportUnknown()
  if (reader.problems.length > 0) {
    const lines = reader.problems.map((problem) => `${where}: ${problem}`)
    throw new SnapshotterError('invalid-argument', lines.join('\n'))
  }
  return config
}

function tableFromToml(text: string, where: string): Readonly<Record<string, unknown>> {
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const [reason = error.message] = error.message.split('\n')
    const message = `${where}:${error.line}:${error.column}: ${reason}`
    throw new SnapshotterError('invalid-argument', message, { cause: error })
  }
}

function configFrom(reader: TableReader): Config {
  const root = reader.get(KEYS.root)
  const deadlineMs = reader.get(KEYS.fetchDeadline)
  return {
    root,
    state: reader.get(KEYS.state),
    address: reader.get(KEYS.address),
    adminAddress: reader.get(KEYS.adminAddress),
    dockerConfig: reader.get(KEYS.dockerConfig),
    log: { level: reader.get(KEYS.logLevel), format: reader.get(KEYS.logFormat) },
    metricsAddress: reader.get(KEYS.metricsAddress),
    cache: {
      directory: reader.get(KEYS.cacheDirectory) ?? join(root, 'cache'),
      maxBytes: reader.get(KEYS.cacheSize),
      memoryBytes: reader.get(KEYS.cacheMemorySize),
    },
    fetch: {
      concurrency: reader.get(KEYS.fetchConcurrency),
      connectionsPerOrigin: reader.get(KEYS.fetchConnections),
      attempts: reader.get(KEYS.fetchAttempts),
      connectTimeoutMs: reader.get(KEYS.fetchConnectTimeout),
      answerTimeoutMs: reader.get(KEYS.fetchAnswerTimeout),
      stallTimeoutMs: reader.get(KEYS.fetchStallTimeout),
      deadlineMs,
      retryForMs: Math.min(reader.get(KEYS.fetchRetryFor) ?? deadlineMs, deadlineMs),
      decoders: reader.get(KEYS.fetchDecoders),
    },
    prefetch: {
      concurrency: reader.get(KEYS.prefetchConcurrency),
      bytesPerSecond: reader.get(KEYS.prefetchBandwidth),
      libraries: reader.get(KEYS.prefetchLibraries),
    },
    background: {
      complete: reader.get(KEYS.backgroundComplete),
      bytesPerSecond: reader.get(KEYS.backgroundBandwidth),
      quietMs: reader.get(KEYS.backgroundQuiet),
    },
    fuse: {
      dispatchers: reader.get(KEYS.fuseDispatchers),
      readAheadKib: reader.get(KEYS.fuseReadAhead),
    },
    watchdog: {
      deadlineMs: reader.get(KEYS.watchdogDeadline),
      standby: reader.get(KEYS.watchdogStandby),
    },
    profile: {
      learn: reader.get(KEYS.profileLearn),
      learnPeriodMs: reader.get(KEYS.profileLearnPeriod),
      shared: reader.get(KEYS.profileShared),
    },
    allowedHostDirectories: reader.get(KEYS.hostDirectoriesAllow),
    stores: { allow: reader.get(KEYS.storesAllow) },
    ...storesAndRegistriesFrom(reader),
  }
}

function storesAndRegistriesFrom(reader: TableReader): Pick<Config, 'mirrors' | 'registries'> {
  const mirrors = reader.tables('store').map(mirrorFrom)
  const registries = new Map<string, RegistryConfig>()
  for (const [host, table] of reader.namedTables('registry')) {
    const registry = registryFrom(host, table, reader)
    if (registry.plainHttp) {
      mirrors.push({ prefix: `oci+https://${host}/`, replacements: [`oci+http://${host}/`] })
    }
    registries.set(host, registry)
  }
  return { mirrors, registries }
}

function mirrorFrom(reader: TableReader): StoreMirror {
  const mirror = {
    prefix: reader.get(STORE_KEYS.prefix),
    replacements: reader.get(STORE_KEYS.urls),
  }
  reader.reportUnknown()
  return mirror
}

function registryFrom(host: string, reader: TableReader, document: TableReader): RegistryConfig {
  if (!REGISTRY_HOST.test(host)) {
    document.problem(`registry."${host}"`, 'is not a host or host:port, as in an image reference')
  }
  const registry = {
    username: reader.get(REGISTRY_KEYS.username),
    passwordFile: reader.get(REGISTRY_KEYS.passwordFile),
    ca: reader.get(REGISTRY_KEYS.ca),
    retryForMs: reader.get(REGISTRY_KEYS.retryFor),
    plainHttp: reader.get(REGISTRY_KEYS.plainHttp),
  }
  reader.reportUnknown()
  if ((registry.username === undefined) !== (registry.passwordFile === undefined)) {
    const missing = registry.username === undefined ? 'username' : 'password_file'
    reader.problem(missing, 'is missing: username and password_file belong together')
  }
  return registry
}
