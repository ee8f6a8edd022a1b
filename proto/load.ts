/**
 * Loads the service definition from the `.proto` files in `proto/` at the package's root. No code
 * is generated from them, so that nothing can be out of date.
 */
import { fileURLToPath } from 'node:url'
import type { ServiceDefinition } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

/** The full name of the service, as in the path of every call. */
export const SNAPSHOTS_SERVICE = 'containerd.services.snapshots.v1.Snapshots'

/** From `dist/proto/`, where this module runs, to `proto/` at the package's root. */
const PROTO_DIRECTORY = fileURLToPath(new URL('../../proto/', import.meta.url))

/**
 * The definition of containerd's snapshots service, for a grpc-js server or client. Reads two small
 * files synchronously. Throws if they are missing. The messages have the shapes of `snapshots.ts`.
 */
export function loadSnapshotsService(): ServiceDefinition {
  const definition = loadSync('snapshots.proto', {
    includeDirs: [PROTO_DIRECTORY],
    // Field names in camel case, as in the rest of the code. Label names are map keys: unchanged.
    keepCase: false,
    // Sizes and seconds are 64-bit on the wire: a decoded string loses nothing.
    longs: String,
    enums: String,
    // proto3 does not send zero values. The decoder adds them, and null for an absent message.
    defaults: true,
  })[SNAPSHOTS_SERVICE]
  if (definition === undefined || 'format' in definition) {
    throw new Error(`${PROTO_DIRECTORY}snapshots.proto does not define ${SNAPSHOTS_SERVICE}`)
  }
  return definition
}
