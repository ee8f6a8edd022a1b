/**
 * Credentials for registries, from Docker's `config.json` and its credential helpers. The file is
 * read for each question, so that `docker login` and rotated secrets take effect at once.
 */
import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemErrorCode } from '../../../index-format/system-error.js'
import { SnapshotterError } from '../../errors.js'
import { JsonObject } from './json-object.js'
import { MAX_ANSWER_BYTES } from './registry-limits.js'

export type Credential =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** An OAuth2 refresh token. The token server exchanges it for a token. */
  | { readonly kind: 'identity-token'; readonly token: string }

export interface CredentialSource {
  /**
   * The credential for `registry`, which is host[:port] as in an image reference. `undefined` means
   * that requests are sent without credentials.
   */
  credentialFor(registry: string): Promise<Credential | undefined>
}

/** A source without any credentials. */
export const anonymous: CredentialSource = { credentialFor: () => Promise.resolve(undefined) }

export interface DockerConfigOptions {
  /** Path of `config.json`. If there is no such file, there are no credentials. */
  readonly path: string
  /** Limit for one call of a credential helper. Default 10,000. */
  readonly helperTimeoutMs?: number
}

/** The key of Docker Hub in `config.json`. */
const DOCKER_HUB_KEY = 'https://index.docker.io/v1/'
const HELPER_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
/** A helper prints this if it has no credentials (docker-credential-helpers, `errors.go`). */
const NOT_FOUND = /credentials not found/i

/** The path of Docker's `config.json`, according to `DOCKER_CONFIG` and `HOME` of `env`. */
export function dockerConfigPath(env: Readonly<Record<string, string | undefined>>): string {
  const folder = env['DOCKER_CONFIG']
  if (folder !== undefined && folder !== '') return join(folder, 'config.json')
  return join(env['HOME'] ?? '/root', '.docker', 'config.json')
}

export class DockerConfigCredentials implements CredentialSource {
  readonly #path: string
  readonly #helperTimeoutMs: number

  constructor(options: DockerConfigOptions) {
    this.#path = options.path
    this.#helperTimeoutMs = options.helperTimeoutMs ?? 10_000
  }

  /**
   * The order is: a helper of the registry, an entry of `auths`, the general helper. Throws
   * `unauthorized` if a helper fails, `invalid-content` for a file or an answer that is damaged,
   * `invalid-argument` for a wrong value in the file, `internal` if the file cannot be read.
   */
  async credentialFor(registry: string): Promise<Credential | undefined> {
    const config = await this.#read()
    if (config === undefined) return undefined
    const keys = registryKeys(registry)
    const helpers = config.optionalStringMap('credHelpers') ?? {}
    for (const key of keys) {
      const helper = Object.hasOwn(helpers, key) ? helpers[key] : undefined
      if (helper !== undefined) return this.#ask(helper, key)
    }
    const auths = config.optionalObject('auths')
    for (const key of auths === undefined ? [] : keys) {
      if (auths === undefined || !Object.hasOwn(auths.raw, key)) continue
      const found = credentialFromAuth(auths.object(key), `${this.#path}: auths`)
      if (found !== undefined) return found
    }
    const store = config.optionalString('credsStore')
    if (store === undefined || store === '') return undefined
    return this.#ask(store, registry === 'docker.io' ? DOCKER_HUB_KEY : registry)
  }

  async #read(): Promise<JsonObject | undefined> {
    let bytes: Uint8Array
    try {
      bytes = await readFile(this.#path)
    } catch (cause) {
      if (systemErrorCode(cause) === 'ENOENT') return undefined
      throw new SnapshotterError('internal', `read registry credentials ${this.#path}`, { cause })
    }
    return JsonObject.parse(bytes, this.#path)
  }

  async #ask(helper: string, server: string): Promise<Credential | undefined> {
    if (!HELPER_NAME.test(helper)) {
      throw new SnapshotterError(
        'invalid-argument',
        `${this.#path}: "${helper.slice(0, 80)}" is not the name of a credential helper`,
      )
    }
    const program = `docker-credential-${helper}`
    const { code, output, failure } = await runHelper(program, server, this.#helperTimeoutMs)
    if (code !== 0) {
      if (NOT_FOUND.test(output.toString('utf8'))) return undefined
      const reason = failure ?? `exit status ${String(code)}`
      throw new SnapshotterError('unauthorized', `${program} get ${server}: ${reason}`)
    }
    const json = JsonObject.parse(output, program)
    const username = json.string('Username')
    const secret = json.string('Secret')
    if (username === '<token>') return { kind: 'identity-token', token: secret }
    return { kind: 'password', username, password: secret }
  }
}

/** The keys that a registry may have in `auths`, the likeliest first. */
function registryKeys(registry: string): string[] {
  if (registry === 'docker.io') return [DOCKER_HUB_KEY, 'index.docker.io', 'docker.io']
  return [registry, `https://${registry}`, `https://${registry}/`, `http://${registry}`]
}

function credentialFromAuth(auth: JsonObject, where: string): Credential | undefined {
  const token = auth.optionalString('identitytoken')
  if (token !== undefined && token !== '') return { kind: 'identity-token', token }
  const encoded = auth.optionalString('auth')
  if (encoded !== undefined && encoded !== '') {
    const pair = Buffer.from(encoded, 'base64').toString('utf8')
    const colon = pair.indexOf(':')
    if (colon < 1) {
      throw new SnapshotterError(
        'invalid-argument',
        `${where}: auth is not base64 of user:password`,
      )
    }
    const password = pair.slice(colon + 1).replace(/\0+$/, '')
    return { kind: 'password', username: pair.slice(0, colon), password }
  }
  const username = auth.optionalString('username')
  const password = auth.optionalString('password')
  if (username === undefined || username === '' || password === undefined) return undefined
  return { kind: 'password', username, password }
}

interface HelperResult {
  readonly code: number | undefined
  /** Standard output. It may hold secrets as well as error messages, so it is never logged. */
  readonly output: Buffer
  readonly failure?: string
}

/**
 * Runs `<program> get` with the server's name on standard input. The program is killed after
 * `timeoutMs`, and if it prints more than `MAX_ANSWER_BYTES`. Never rejects.
 */
function runHelper(program: string, server: string, timeoutMs: number): Promise<HelperResult> {
  return new Promise((resolve) => {
    const child = spawn(program, ['get'], {
      stdio: ['pipe', 'pipe', 'ignore'],
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    })
    const pieces: Buffer[] = []
    let total = 0
    child.stdout.on('data', (piece: Buffer) => {
      total += piece.length
      if (total > MAX_ANSWER_BYTES) child.kill('SIGKILL')
      else pieces.push(piece)
    })
    child.stdin.on('error', () => undefined)
    child.stdin.end(server)
    child.on('error', (error) => {
      resolve({ code: undefined, output: Buffer.alloc(0), failure: error.message })
    })
    child.on('close', (code, killedBy) => {
      const output = Buffer.concat(pieces)
      if (code !== null) resolve({ code, output })
      else {
        const failure = `killed by ${String(killedBy)} (it may take ${String(timeoutMs)} ms)`
        resolve({ code: undefined, output, failure })
      }
    })
  })
}
