/** A small token server. It signs tokens that docker-registry accepts, and records the requests. */
import { execFileSync } from 'node:child_process'
import { X509Certificate, createPrivateKey, randomUUID, sign } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ACCOUNT, type TokenAuth } from './docker-registry.js'

export interface TokenServer {
  readonly auth: TokenAuth
  /** The requests so far, in order. */
  readonly questions: { scopes: string[]; authorization: string | undefined; body: string }[]
  /** Lifetime of future tokens in seconds. Default 300. */
  lifeSeconds: number
  stop(): Promise<void>
}

/**
 * Starts a token server. Everybody may pull. Only ACCOUNT, or the refresh token `refresh-me`, may
 * push.
 */
export async function startTokenServer(): Promise<TokenServer> {
  const folder = mkdtempSync(join(tmpdir(), 'test-token-'))
  const keyPath = join(folder, 'key.pem')
  const certificatePath = join(folder, 'certificate.pem')
  execFileSync(
    'openssl',
    [
      ...[
        'req',
        '-x509',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-days',
        '2',
        '-subj',
        '/CN=test-issuer',
      ],
      ...['-keyout', keyPath, '-out', certificatePath],
    ],
    { stdio: 'ignore' },
  )
  const key = createPrivateKey(readFileSync(keyPath))
  const chain = [new X509Certificate(readFileSync(certificatePath)).raw.toString('base64')]
  const basic = `Basic ${Buffer.from(`${ACCOUNT.username}:${ACCOUNT.password}`).toString('base64')}`

  const questions: TokenServer['questions'] = []
  const server = createServer((request, response) => {
    const pieces: Buffer[] = []
    request.on('data', (piece: Buffer) => pieces.push(piece))
    request.on('end', () => {
      const body = Buffer.concat(pieces).toString()
      const url = new URL(request.url ?? '/', 'http://localhost')
      const form = new URLSearchParams(body)
      const scopes = [...url.searchParams.getAll('scope'), ...(form.get('scope') ?? '').split(' ')]
      const { authorization } = request.headers
      questions.push({ scopes: scopes.filter((scope) => scope !== ''), authorization, body })
      const trusted = authorization === basic || form.get('refresh_token') === 'refresh-me'
      if (authorization !== undefined && !trusted) {
        response.writeHead(401).end('{}')
        return
      }
      const token = makeToken(scopes, trusted)
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ token, expires_in: result.lifeSeconds }))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no address')
  const result: TokenServer = {
    auth: {
      realm: `http://127.0.0.1:${address.port}/token`,
      service: 'test-registry',
      issuer: 'test-issuer',
      certificatePath,
    },
    questions,
    lifeSeconds: 300,
    stop: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
      rmSync(folder, { recursive: true, force: true })
    },
  }
  return result

  function makeToken(scopes: string[], trusted: boolean): string {
    const access = scopes
      .filter((scope) => scope !== '')
      .map((scope) => {
        const [type = '', name = '', actions = ''] = scope.split(':')
        const allowed = actions.split(',').filter((action) => trusted || action === 'pull')
        return { type, name, actions: allowed }
      })
    const now = Math.floor(Date.now() / 1000)
    const claims = {
      iss: 'test-issuer',
      sub: trusted ? ACCOUNT.username : '',
      aud: 'test-registry',
      exp: now + 300,
      nbf: now - 10,
      iat: now,
      jti: randomUUID(),
      access,
    }
    const encode = (value: unknown): string =>
      Buffer.from(JSON.stringify(value)).toString('base64url')
    const signed = `${encode({ typ: 'JWT', alg: 'RS256', x5c: chain })}.${encode(claims)}`
    return `${signed}.${sign('sha256', Buffer.from(signed), key).toString('base64url')}`
  }
}
