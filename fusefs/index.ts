export type { BlobRange, BlobSource } from './content/blob-source.js'
export { type ContentStats, createContentStats } from './content/content-stats.js'
export {
  ContentStore,
  type ContentStoreOptions,
  type PrefetchRequest,
  type ReadRequest,
} from './content/content-store.js'
export type { CachedPack } from './content/disk/cache-directory.js'
export { FailoverSource } from './content/failover-source.js'
export { FileBlobSource } from './content/file-blob-source.js'
export { ThreadFrameDecoder } from './content/decode/thread-frame-decoder.js'
export type { FrameDecoder } from './content/frame-decoder.js'
export { HttpBlobSource, type HttpBlobSourceModules } from './content/http-blob-source.js'
export {
  type ContentLimits,
  DEFAULT_CONTENT_LIMITS,
  DEFAULT_FAILOVER_LIMITS,
  DEFAULT_HTTP_LIMITS,
  type FailoverLimits,
  type HttpLimits,
} from './content/content-limits.js'
export {
  FRAME_ABSENT,
  FRAME_CLAIMED,
  FRAME_PRESENT,
  MirrorView,
  type MirrorShared,
} from './content/mirror-view.js'
export { sourceFromUrl } from './content/source-from-url.js'
export { type StoreUrl, storeUrlFromString } from './content/store-url.js'
export { FusefsError, type FusefsErrorCode } from './errors.js'
export { AddressPolicy, addressClass, type HostPort } from './http/address-policy.js'
export type { Answer } from './http/answer.js'
export type { Attempts } from './http/attempts.js'
export type { Authorizer } from './http/authorizer.js'
export { boundedBody } from './http/bounded-body.js'
export { Deadline } from './http/deadline.js'
export type { Exchange, TimedExchange } from './http/exchange.js'
export { createHttpAgent } from './http/http-agent.js'
export { HttpClient, type HttpClientModules, type HttpClientOptions } from './http/http-client.js'
export { createHttpCounters, type HttpCounters } from './http/http-counters.js'
export { HttpFailure, type HttpFailureReason } from './http/http-failure.js'
export { OriginHealths } from './http/origin-health.js'
export type { ExchangeLimits, RangeLimits } from './http/http-limits.js'
export { type RangeQuestion, RangeReader } from './http/range-reader.js'
export type { Timing } from './http/timing.js'
export type { Log } from './log.js'
export type { ContentReader } from './transport/content-reader.js'
export { loadDispatcherThreads } from './transport/dispatcher-threads.js'
export {
  FuseServer,
  type FuseServerModules,
  type FuseServerOptions,
  type ReadListener,
  type StopOptions,
} from './transport/fuse-server.js'
export type { HeadListener } from './transport/miss-server.js'
export type { KernelCache, PageRun } from './transport/kernel-cache.js'
export {
  type KernelMount,
  type KernelMountOptions,
  mountFuse,
  setReadAhead,
  unmountFuse,
} from './transport/kernel-mount.js'
export {
  type Mounted,
  mountTree,
  type MountTreeModules,
  type MountTreeOptions,
  type TransportName,
} from './transport/mount-tree.js'
export type { CompleteIndex } from './transport/parked-requests.js'
export { type ServerCounts, serverCountsFromJson } from './transport/server-stats.js'
export type { TreeSourceSpec } from './trees/source-spec.js'
export { type TreeClass, type TreeRecord, TreeRegistry } from './trees/tree-registry.js'
export { patiently } from './waiting/patience.js'
export { type NegotiatedInit, negotiatedInitFromJson } from './wire/init.js'
