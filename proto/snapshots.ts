/**
 * The messages of `snapshots.proto` as the loader of this layer decodes them: names in camel case,
 * absent messages `null`, absent scalars their zero value, enums as their names, 64-bit integers as
 * decimal strings. Encoding accepts more forms: the comment of each type names them.
 */
import type { Timestamp } from './timestamp.js'

/** `containerd.types.Mount`. */
export interface Mount {
  readonly type: string
  readonly source: string
  readonly target: string
  readonly options: readonly string[]
}

/** `Kind`: the names of the values in the `.proto` file. */
export type SnapshotKind = 'UNKNOWN' | 'VIEW' | 'ACTIVE' | 'COMMITTED'

export interface SnapshotInfo {
  readonly name: string
  readonly parent: string
  readonly kind: SnapshotKind
  readonly createdAt: Timestamp | null
  readonly updatedAt: Timestamp | null
  readonly labels: Readonly<Record<string, string>>
}

/** The requests of Prepare and View, which differ in name only. */
export interface PrepareRequest {
  readonly snapshotter: string
  readonly key: string
  readonly parent: string
  readonly labels: Readonly<Record<string, string>>
}

/** The answers of Prepare, View and Mounts, which differ in name only. */
export interface MountsResponse {
  readonly mounts: readonly Mount[]
}

/** The requests of Mounts, Remove, Stat and Usage, which differ in name only. */
export interface KeyRequest {
  readonly snapshotter: string
  readonly key: string
}

export interface CommitRequest {
  readonly snapshotter: string
  readonly name: string
  readonly key: string
  readonly labels: Readonly<Record<string, string>>
  readonly parent: string
}

/** The answers of Stat and of Update, which differ in name only. */
export interface InfoResponse {
  readonly info: SnapshotInfo | null
}

export interface UpdateRequest {
  readonly snapshotter: string
  readonly info: SnapshotInfo | null
  readonly updateMask: { readonly paths: readonly string[] } | null
}

export interface ListRequest {
  readonly snapshotter: string
  readonly filters: readonly string[]
}

export interface ListResponse {
  readonly info: readonly SnapshotInfo[]
}

/** Decoded, the values are decimal strings. Encoding accepts numbers, too. */
export interface UsageResponse {
  readonly size: string | number
  readonly inodes: string | number
}

export interface CleanupRequest {
  readonly snapshotter: string
}

/** `google.protobuf.Empty`. */
export type Empty = Readonly<Record<string, never>>
