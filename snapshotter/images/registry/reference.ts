/**
 * Parses image references. The rules are those of the Docker reference grammar, so that a reference
 * means the same here, in `ctr` and in `docker`.
 */
import { type Digest, isDigest } from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'

export interface ImageReference {
  /** The host, with its port if the reference has one. Default: `docker.io`. */
  readonly registry: string
  /** The path in the registry. A name of docker.io without a slash gets the prefix `library/`. */
  readonly repository: string
  /** Default: `latest`, or absent if there is a digest. */
  readonly tag?: string
  readonly digest?: Digest
}

const MAX_REFERENCE_LENGTH = 1024
const DEFAULT_REGISTRY = 'docker.io'
const HOST = /^(?:\[[0-9a-fA-F:]+\]|[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?)(?::[0-9]{1,5})?$/
const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/
/** The Docker grammar allows a name of 255 characters, its host included. */
const MAX_NAME_LENGTH = 255

/** Parses `[host[:port]/]path[:tag][@sha256:…]`. Throws `invalid-argument` with the reason. */
export function parseReference(text: string): ImageReference {
  if (text.length > MAX_REFERENCE_LENGTH) throw refused(text, 'it is too long')
  const at = text.indexOf('@')
  const digestText = at < 0 ? undefined : text.slice(at + 1)
  if (digestText !== undefined && !isDigest(digestText)) {
    throw refused(text, 'what follows the @ is not sha256: and 64 lower-case hex digits')
  }
  const named = at < 0 ? text : text.slice(0, at)
  const colon = named.lastIndexOf(':')
  const tagged = colon > named.lastIndexOf('/')
  const name = tagged ? named.slice(0, colon) : named
  const tag = tagged ? named.slice(colon + 1) : undefined
  if (tag !== undefined && !TAG.test(tag)) throw refused(text, `"${tag}" is not a tag`)
  const location = locationFromName(name, text)
  if (digestText !== undefined) {
    return { ...location, ...(tag === undefined ? {} : { tag }), digest: digestText }
  }
  return { ...location, tag: tag ?? 'latest' }
}

/**
 * Parses the part `host[:port]/path` of a store URL. It has no tag, no digest and no defaults.
 * Throws `invalid-argument` with the reason.
 */
export function parseRepository(text: string): { registry: string; repository: string } {
  const slash = text.indexOf('/')
  const registry = text.slice(0, slash)
  const repository = text.slice(slash + 1)
  if (slash < 1 || !HOST.test(registry)) throw refused(text, 'it does not begin with host[:port]/')
  checkRepository(repository, text)
  return { registry, repository }
}

/** The full text of a reference: registry and repository, then tag and digest if it has them. */
export function formatReference(reference: ImageReference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`
  return `${reference.registry}/${reference.repository}${tag}${digest}`
}

/** Whether `registry` (host[:port]) is this machine. containerd uses plain HTTP for it. */
export function isLoopbackRegistry(registry: string): boolean {
  const host = registry.startsWith('[')
    ? registry.slice(1, registry.indexOf(']'))
    : (registry.split(':')[0] ?? '')
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)
}

/** The origin of the API of `registry` (host[:port]). Docker Hub's API has another host name. */
export function apiOrigin(registry: string, plainHttp: boolean): string {
  const host = registry === DEFAULT_REGISTRY ? 'registry-1.docker.io' : registry
  return `${plainHttp ? 'http' : 'https'}://${host}`
}

function locationFromName(name: string, text: string): { registry: string; repository: string } {
  const slash = name.indexOf('/')
  const first = slash < 0 ? '' : name.slice(0, slash)
  const isHost = first.includes('.') || first.includes(':') || first === 'localhost'
  const registry = isHost ? normalHost(first) : DEFAULT_REGISTRY
  if (isHost && !HOST.test(registry)) throw refused(text, `"${registry}" is not a host`)
  let repository = isHost ? name.slice(slash + 1) : name
  if (registry === DEFAULT_REGISTRY && !repository.includes('/'))
    repository = `library/${repository}`
  checkRepository(repository, text)
  return { registry, repository }
}

function normalHost(host: string): string {
  return host === 'index.docker.io' || host === 'registry-1.docker.io' ? DEFAULT_REGISTRY : host
}

function checkRepository(repository: string, text: string): void {
  if (repository.length > MAX_NAME_LENGTH) throw refused(text, 'its repository name is too long')
  for (const component of repository.split('/')) {
    if (!COMPONENT.test(component)) {
      throw refused(text, `"${component}" cannot be part of a repository name`)
    }
  }
}

function refused(text: string, reason: string): SnapshotterError {
  return new SnapshotterError(
    'invalid-argument',
    `image reference "${text.slice(0, 200)}": ${reason}; expected [host[:port]/]path[:tag][@digest]`,
  )
}
