/**
 * Parses manifests, indexes and descriptors, with limits on their sizes. OCI and Docker schema 2
 * have the same shape.
 */
import type { Digest } from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'
import { JsonObject } from './json-object.js'
import { MAX_BLOB_BYTES, MAX_DESCRIPTORS } from './registry-limits.js'
import {
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  OCI_INDEX,
  OCI_MANIFEST,
  isIndexType,
  isManifestType,
} from './media-types.js'

export interface Platform {
  readonly os: string
  readonly architecture: string
  readonly variant?: string
}

/** A reference to a blob or a manifest (OCI image-spec, descriptor.md). */
export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  readonly sizeBytes: number
  readonly platform?: Platform
  readonly annotations?: Readonly<Record<string, string>>
  readonly artifactType?: string
}

export interface ImageManifest {
  readonly kind: 'manifest'
  readonly mediaType: string
  readonly config: Descriptor
  /** Bottom first. */
  readonly layers: readonly Descriptor[]
  readonly annotations?: Readonly<Record<string, string>>
}

export interface ImageIndex {
  readonly kind: 'index'
  readonly mediaType: string
  readonly manifests: readonly Descriptor[]
  readonly annotations?: Readonly<Record<string, string>>
}

/**
 * Parses a manifest or an index. `mediaType` is the type that the transport gave. If it is no type
 * of a manifest or an index, the document's own `mediaType` decides. If both are missing, the
 * fields of the document decide. Throws `invalid-content`; `where` names the document at the start
 * of messages.
 */
export function parseManifest(
  bytes: Uint8Array,
  mediaType: string | undefined,
  where: string,
): ImageManifest | ImageIndex {
  const json = JsonObject.parse(bytes, where)
  const type = manifestTypeOf(json, mediaType, where)
  const annotations = json.optionalStringMap('annotations')
  const common = { mediaType: type, ...(annotations === undefined ? {} : { annotations }) }
  if (isIndexType(type)) {
    const manifests = json.objects('manifests', MAX_DESCRIPTORS).map(descriptorFromJson)
    return { kind: 'index', ...common, manifests }
  }
  const layers = json.objects('layers', MAX_DESCRIPTORS).map(descriptorFromJson)
  return {
    kind: 'manifest',
    ...common,
    config: descriptorFromJson(json.object('config')),
    layers,
  }
}

function descriptorFromJson(json: JsonObject): Descriptor {
  const platform = json.optionalObject('platform')
  const annotations = json.optionalStringMap('annotations')
  const artifactType = json.optionalString('artifactType')
  return {
    mediaType: json.string('mediaType'),
    digest: json.digest('digest'),
    sizeBytes: json.size('size', MAX_BLOB_BYTES),
    ...(platform === undefined ? {} : { platform: platformFromJson(platform) }),
    ...(annotations === undefined ? {} : { annotations }),
    ...(artifactType === undefined ? {} : { artifactType }),
  }
}

export function platformFromJson(json: JsonObject): Platform {
  const variant = json.optionalString('variant')
  return {
    os: json.string('os'),
    architecture: json.string('architecture'),
    ...(variant === undefined || variant === '' ? {} : { variant }),
  }
}

/** The JSON form of a descriptor. Its keys are in the order of the specification. */
export function descriptorToJson(descriptor: Descriptor): Record<string, unknown> {
  const { mediaType, artifactType, digest, sizeBytes, annotations, platform } = descriptor
  return {
    mediaType,
    ...(artifactType === undefined ? {} : { artifactType }),
    digest,
    size: sizeBytes,
    ...(annotations === undefined ? {} : { annotations }),
    ...(platform === undefined ? {} : { platform }),
  }
}

function manifestTypeOf(json: JsonObject, declared: string | undefined, where: string): string {
  const inside = json.optionalString('mediaType')
  for (const type of [declared, inside]) {
    if (type !== undefined && (isIndexType(type) || isManifestType(type))) {
      if (isIndexType(type) !== Object.hasOwn(json.raw, 'manifests')) break
      return type
    }
  }
  const knows = (key: string): boolean => Object.hasOwn(json.raw, key)
  if (declared === undefined && inside === undefined) {
    if (knows('manifests') && !knows('layers')) return OCI_INDEX
    if (knows('layers') && knows('config')) return OCI_MANIFEST
  }
  const found = inside ?? declared ?? 'no media type'
  throw new SnapshotterError(
    'invalid-content',
    `${where}: neither an image manifest nor an index (${found.slice(0, 100)}); ` +
      `known are ${[OCI_INDEX, OCI_MANIFEST, DOCKER_MANIFEST_LIST, DOCKER_MANIFEST].join(', ')}`,
  )
}
