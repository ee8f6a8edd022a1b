/**
 * Requests a token from a token server, by Docker's token authentication specification or, for
 * identity tokens, by its OAuth2 form.
 */
import { type Exchange, type HttpClient, HttpFailure } from '../../../fusefs/index.js'
import { SnapshotterError, type SnapshotterErrorCode } from '../../errors.js'
import type { Credential } from './credentials.js'
import { JsonObject } from './json-object.js'
import { MAX_ANSWER_BYTES } from './registry-limits.js'

export interface TokenQuestion {
  /** The URL of the token server. */
  readonly realm: URL
  readonly service: string | undefined
  /** Space-separated; may be empty. */
  readonly scope: string
  /** Undefined: the request carries no credentials. */
  readonly credential: Credential | undefined
}

export interface Token {
  /** Printable ASCII, without spaces. */
  readonly token: string
  /** Milliseconds from now; 1 second to 24 hours. */
  readonly lifeMs: number
}

const ATTEMPTS = 3
const DEADLINE_MS = 60_000
/** The life of a token if the answer has no `expires_in` (token specification). */
const DEFAULT_LIFE_S = 60
const CLIENT_ID = 'thin-snapshotter'

/**
 * Returns a token, or `undefined` if the server refuses the credentials. Throws `unavailable` if
 * the server cannot be reached, `failed-precondition` if the address policy forbids to connect to
 * it, `invalid-content` if its answer holds no valid token. `client` must have no authorizer.
 */
export async function fetchToken(
  question: TokenQuestion,
  client: HttpClient,
): Promise<Token | undefined> {
  const where = `token server ${question.realm.origin}`
  const bounds = {
    timeoutMs: DEADLINE_MS,
    attempts: ATTEMPTS,
    signal: new AbortController().signal,
  }
  try {
    const exchange = { ...exchangeFor(question), ...bounds }
    const { bytes } = await client.read(exchange, MAX_ANSWER_BYTES)
    return tokenFromAnswer(bytes, where)
  } catch (cause) {
    if (!(cause instanceof HttpFailure)) throw cause
    if (cause.reason === 'status' && !cause.retryable) return undefined
    throw new SnapshotterError(codeOf(cause), `${where} cannot be asked: ${cause.message}`, {
      cause,
    })
  }
}

function codeOf(failure: HttpFailure): SnapshotterErrorCode {
  if (failure.reason === 'too-large') return 'invalid-content'
  return failure.reason === 'address' ? 'failed-precondition' : 'unavailable'
}

/** The request for a token. Redirects are refused, so that credentials reach only the realm. */
function exchangeFor(question: TokenQuestion): Exchange {
  const { realm, service, scope, credential } = question
  const common = { expect: [200], follow: 'none' } as const
  const scopes = scope === '' ? [] : scope.split(' ')
  if (credential?.kind === 'identity-token') {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      client_id: CLIENT_ID,
      refresh_token: credential.token,
    })
    if (service !== undefined) form.set('service', service)
    if (scope !== '') form.set('scope', scope)
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    return { ...common, method: 'POST', url: realm, headers, body: () => form.toString() }
  }
  const url = new URL(realm)
  if (service !== undefined) url.searchParams.set('service', service)
  for (const one of scopes) url.searchParams.append('scope', one)
  if (credential === undefined) return { ...common, method: 'GET', url }
  url.searchParams.set('account', credential.username)
  const pair = Buffer.from(`${credential.username}:${credential.password}`, 'utf8')
  const headers = { authorization: `Basic ${pair.toString('base64')}` }
  return { ...common, method: 'GET', url, headers }
}

function tokenFromAnswer(body: Uint8Array, where: string): Token {
  const json = JsonObject.parse(body, where)
  const token = json.optionalString('token') ?? json.optionalString('access_token')
  // Any other character, such as a line break, could end the header and begin another one.
  if (token === undefined || !/^[\x21-\x7e]+$/.test(token)) {
    throw new SnapshotterError('invalid-content', `${where}: the answer holds no token`)
  }
  const asked = Object.hasOwn(json.raw, 'expires_in')
    ? json.size('expires_in', Number.MAX_SAFE_INTEGER)
    : DEFAULT_LIFE_S
  const lifeS = Math.min(Math.max(asked, 1), 24 * 3600)
  return { token, lifeMs: lifeS * 1000 }
}
