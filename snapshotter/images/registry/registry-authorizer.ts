/**
 * Credentials for requests to registries. The authorizer answers Basic and Bearer challenges and
 * keeps tokens until they expire. Tokens are kept for each origin and repository, so a token of one
 * registry is never sent to another. Tokens and passwords never reach a log or an error message.
 */
import type { Dispatcher } from 'undici'
import { type Authorizer, createHttpCounters, HttpClient } from '../../../fusefs/index.js'
import { type Challenge, parseChallenges } from './challenge.js'
import type { Credential, CredentialSource } from './credentials.js'
import { REGISTRY_LIMITS } from './registry-limits.js'
import { fetchToken } from './token-request.js'

export interface RegistryAuthorizerModules {
  readonly credentials: CredentialSource
  /** The connections to token servers. The caller closes it. */
  readonly dispatcher: Dispatcher
  /** Whether the credentials of the registry at `url` may be sent to it. Default: always. */
  readonly mayCarryCredentials?: ((url: URL) => boolean) | undefined
}

type BearerChallenge = Extract<Challenge, { scheme: 'bearer' }>

/** The credentials for one repository. Times are those of `performance.now()`. */
interface Knowledge {
  /** The value of the header `Authorization`. */
  header: string
  obtainedAtMs: number
  /** From this time on, `header` must not be sent. */
  expiresAtMs: number
  /** The challenge for a new token, with all scopes asked for so far. Absent for Basic. */
  bearer?: BearerChallenge
}

/** A token is renewed this long before it expires, because a request may have to wait. */
const EXPIRY_MARGIN_MS = 10_000
/**
 * Credentials younger than this count as new. A challenge that they satisfy answers a request that
 * was sent before they were known, so the request is repeated with them.
 */
const FRESH_MS = 2_000
/** Repositories whose credentials are kept. The oldest are dropped. */
const MAX_KNOWN = 1024

export class RegistryAuthorizer implements Authorizer {
  readonly #credentials: CredentialSource
  readonly #mayCarryCredentials: (url: URL) => boolean
  readonly #tokenServers: HttpClient
  readonly #known = new Map<string, Knowledge>()
  readonly #pending = new Map<string, Promise<boolean>>()

  constructor(modules: RegistryAuthorizerModules) {
    const { credentials, dispatcher } = modules
    this.#credentials = credentials
    this.#mayCarryCredentials = modules.mayCarryCredentials ?? (() => true)
    this.#tokenServers = new HttpClient(
      { limits: REGISTRY_LIMITS },
      { dispatcher, counters: createHttpCounters() },
    )
  }

  async headersFor(url: URL): Promise<Record<string, string>> {
    const key = keyOf(url)
    const known = this.#known.get(key)
    if (known === undefined) return {}
    if (known.bearer !== undefined && performance.now() > known.expiresAtMs) {
      const { bearer } = known
      if (!(await this.#once(key, () => this.#obtain(url, key, [bearer])))) return {}
    }
    const header = this.#known.get(key)?.header
    return header === undefined ? {} : { authorization: header }
  }

  async challenge(url: URL, wwwAuthenticate: string): Promise<boolean> {
    const key = keyOf(url)
    const challenges = parseChallenges(wwwAuthenticate)
    return this.#once(`${key} ${wwwAuthenticate}`, () => this.#obtain(url, key, challenges))
  }

  /** Calls `obtain`, or waits for the call that is under way for the same question. */
  #once(question: string, obtain: () => Promise<boolean>): Promise<boolean> {
    const pending = this.#pending.get(question)
    if (pending !== undefined) return pending
    const started = obtain().finally(() => this.#pending.delete(question))
    this.#pending.set(question, started)
    return started
  }

  async #obtain(url: URL, key: string, challenges: readonly Challenge[]): Promise<boolean> {
    const credential = this.#mayCarryCredentials(url)
      ? await this.#credentials.credentialFor(registryOf(url))
      : undefined
    for (const challenge of challenges) {
      switch (challenge.scheme) {
        case 'basic': {
          if (credential?.kind !== 'password') break
          const header = basicHeader(credential)
          const known = this.#known.get(key)
          if (known?.header === header) {
            if (isFresh(known)) return true
            break
          }
          this.#remember(key, { header, obtainedAtMs: performance.now(), expiresAtMs: Infinity })
          return true
        }
        case 'bearer':
          if (await this.#obtainToken(url, key, challenge, credential)) return true
          break
      }
    }
    return false
  }

  async #obtainToken(
    url: URL,
    key: string,
    challenge: BearerChallenge,
    credential: Credential | undefined,
  ): Promise<boolean> {
    const known = this.#known.get(key)
    const merged = mergeScopes(known?.bearer?.scope, challenge.scope)
    if (known?.bearer !== undefined && merged === known.bearer.scope && isFresh(known)) return true
    const realm = new URL(challenge.realm)
    if (!mayReceiveCredentials(realm, url)) return false
    const asked = { ...challenge, scope: merged }
    const token = await fetchToken(
      { realm, service: challenge.service, scope: merged, credential },
      this.#tokenServers,
    )
    if (token === undefined) return false
    const lifeMs = token.lifeMs - Math.min(EXPIRY_MARGIN_MS, token.lifeMs / 2)
    this.#remember(key, {
      header: `Bearer ${token.token}`,
      obtainedAtMs: performance.now(),
      expiresAtMs: performance.now() + lifeMs,
      bearer: asked,
    })
    return true
  }

  #remember(key: string, knowledge: Knowledge): void {
    this.#known.delete(key)
    this.#known.set(key, knowledge)
    const oldest = this.#known.keys().next().value
    if (this.#known.size > MAX_KNOWN && oldest !== undefined) this.#known.delete(oldest)
  }
}

function isFresh(knowledge: Knowledge): boolean {
  const now = performance.now()
  return now < knowledge.obtainedAtMs + FRESH_MS && now < knowledge.expiresAtMs
}

function basicHeader(credential: { username: string; password: string }): string {
  const pair = `${credential.username}:${credential.password}`
  return `Basic ${Buffer.from(pair, 'utf8').toString('base64')}`
}

/**
 * Whether credentials may be sent to the token server at `realm`, which the registry has named.
 * Over plain HTTP they may only if the registry itself is reached over plain HTTP.
 */
function mayReceiveCredentials(realm: URL, registry: URL): boolean {
  return (
    realm.protocol === 'https:' || (realm.protocol === 'http:' && registry.protocol === 'http:')
  )
}

/** The registry's name in `config.json`. */
function registryOf(url: URL): string {
  return url.hostname === 'registry-1.docker.io' ? 'docker.io' : url.host
}

/**
 * The key of a URL's credentials: origin and repository. Paths outside of repositories share one.
 */
function keyOf(url: URL): string {
  const repository = /^\/v2\/(.+)\/(?:manifests|blobs|tags|referrers)\//.exec(url.pathname)?.[1]
  return `${url.origin} ${repository ?? ''}`
}

/** The union of two scope strings. The actions of the same resource are joined. */
function mergeScopes(known: string | undefined, asked: string | undefined): string {
  const actions = new Map<string, Set<string>>()
  for (const scope of `${known ?? ''} ${asked ?? ''}`.split(' ')) {
    const colon = scope.lastIndexOf(':')
    if (colon < 1) continue
    const resource = scope.slice(0, colon)
    const merged = actions.get(resource) ?? new Set<string>()
    for (const action of scope.slice(colon + 1).split(',')) merged.add(action)
    actions.set(resource, merged)
  }
  return [...actions].map(([resource, set]) => `${resource}:${[...set].join(',')}`).join(' ')
}
