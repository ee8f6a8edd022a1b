/**
 * One exchange with a token server (Docker's token authentication specification, and its OAuth2
 * form for identity tokens).
 */
import { type Dispatcher, request } from 'undici'
import { SnapshotterError } from '../../errors.js'
import { backOff, retryAfterMs } from './backoff.js'
import { boundedBody } from './bounded-body.js'
import type { Credential } from './credentials.js'
import { JsonObject } from './json-object.js'
import { HEADERS_TIMEOUT_MS, MAX_ANSWER_BYTES } from './registry-limits.js'

export interface TokenQuestion {
  readonly realm: URL
  readonly service: string | undefined
  /** Space-separated; may be empty. */
  readonly scope: string
  readonly credential: Credential | undefined
}

export interface Token {
  readonly token: string
  readonly lifeMs: number
}

const ATTEMPTS = 3
const DEADLINE_MS = 60_000
/** A token without `expires_in` lives this long (token specification). */
const DEFAULT_LIFE_S = 60
const CLIENT_ID = 'thin-snapshotter'

/**
 * A token, or `undefined` when the server refuses the credentials. Throws `unavailable` when it
 * cannot be reached, `invalid-content` when its answer is not one.
 */
export async function fetchToken(
  question: TokenQuestion,
  dispatcher: Dispatcher,
): Promise<Token | undefined> {
  const where = `token server ${question.realm.origin}`
  const signal = AbortSignal.timeout(DEADLINE_MS)
  for (let attempt = 1; ; attempt++) {
    let waitMs = 0
    let failure: unknown
    try {
      const answer = await send(question, dispatcher, signal)
      const body = await boundedBody(answer.body, MAX_ANSWER_BYTES, where)
      if (answer.statusCode === 200) return tokenFromAnswer(body, where)
      if (answer.statusCode < 500 && answer.statusCode !== 429) return undefined
      failure = new Error(`HTTP ${String(answer.statusCode)}`)
      waitMs = retryAfterMs(headerOf(answer.headers['retry-after']))
    } catch (cause) {
      if (cause instanceof SnapshotterError) throw cause
      failure = cause
    }
    if (attempt === ATTEMPTS || signal.aborted) {
      throw new SnapshotterError('unavailable', `${where} cannot be asked`, { cause: failure })
    }
    await backOff(attempt + 1, waitMs, signal)
  }
}

function send(
  question: TokenQuestion,
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  const { realm, service, scope, credential } = question
  const options = { dispatcher, signal, headersTimeout: HEADERS_TIMEOUT_MS }
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
    return request(realm, { ...options, method: 'POST', headers, body: form.toString() })
  }
  const url = new URL(realm)
  if (service !== undefined) url.searchParams.set('service', service)
  for (const one of scopes) url.searchParams.append('scope', one)
  if (credential === undefined) return request(url, { ...options, method: 'GET' })
  url.searchParams.set('account', credential.username)
  const pair = Buffer.from(`${credential.username}:${credential.password}`, 'utf8')
  const headers = { authorization: `Basic ${pair.toString('base64')}` }
  return request(url, { ...options, method: 'GET', headers })
}

function tokenFromAnswer(body: Uint8Array, where: string): Token {
  const json = JsonObject.parse(body, where)
  const token = json.optionalString('token') ?? json.optionalString('access_token')
  // A token with other characters could end the header and begin another.
  if (token === undefined || !/^[\x21-\x7e]+$/.test(token)) {
    throw new SnapshotterError('invalid-content', `${where}: the answer holds no token`)
  }
  const asked = Object.hasOwn(json.raw, 'expires_in')
    ? json.size('expires_in', Number.MAX_SAFE_INTEGER)
    : DEFAULT_LIFE_S
  const lifeS = Math.min(Math.max(asked, 1), 24 * 3600)
  return { token, lifeMs: lifeS * 1000 }
}

function headerOf(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}
