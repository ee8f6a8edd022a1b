import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { digestOf } from '../../../../index-format/index.js'
import { SnapshotterError } from '../../../../snapshotter/errors.js'
import {
  DockerConfigCredentials,
  OCI_EMPTY,
  OCI_MANIFEST,
  RegistryConnection,
  type Repository,
  boundedContent,
} from '../../../../snapshotter/images/registry/index.js'
import { ACCOUNT, type DockerRegistry, startDockerRegistry } from './docker-registry.js'
import { type TokenServer, startTokenServer } from './token-server.js'

/**
 * Makes a new signal for each call. A signal made at load time would expire before its test begins.
 */
const inTime = (): AbortSignal => AbortSignal.timeout(60_000)

async function putBytes(repository: Repository, bytes: Buffer): Promise<void> {
  const digest = digestOf(bytes)
  await repository.putBlob({ digest, sizeBytes: bytes.length, open: () => bytes }, inTime())
}

function describeBlob(bytes: Buffer): {
  mediaType: string
  digest: ReturnType<typeof digestOf>
  sizeBytes: number
} {
  return { mediaType: 'application/octet-stream', digest: digestOf(bytes), sizeBytes: bytes.length }
}

/** Writes a config.json into a temporary folder. */
function dockerConfig(content: unknown): { path: string; folder: string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'test-docker-config-'))
  const path = join(folder, 'config.json')
  writeFileSync(path, JSON.stringify(content))
  return {
    path,
    folder,
    remove: () => {
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

const basic = Buffer.from(`${ACCOUNT.username}:${ACCOUNT.password}`).toString('base64')

/** Tests that must pass with every kind of authentication. */
function pushesAndPulls(
  connectionTo: () => { connection: RegistryConnection; host: string },
): void {
  it('writes blobs and a manifest, and reads the same bytes', async () => {
    const { connection, host } = connectionTo()
    const repository = connection.repository(host, 'team/app')
    const blob = randomBytes(3_000_000)
    const config = Buffer.from('{}')
    assert.equal(await repository.blobSize(digestOf(blob), inTime()), undefined)
    await putBytes(repository, blob)
    await putBytes(repository, config)
    assert.equal(await repository.blobSize(digestOf(blob), inTime()), blob.length)
    const bytes = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: OCI_MANIFEST,
        config: { mediaType: OCI_EMPTY, digest: digestOf(config), size: 2 },
        layers: [
          { mediaType: 'application/octet-stream', digest: digestOf(blob), size: blob.length },
        ],
      }),
    )
    const digest = await repository.putManifest('1', { mediaType: OCI_MANIFEST, bytes }, inTime())
    assert.equal(await repository.resolve('1', inTime()), digest)
    assert.equal(await repository.resolve('absent', inTime()), undefined)
    for (const name of ['1', digest]) {
      const stored = await repository.manifest(name, inTime())
      assert.deepEqual(Buffer.from(stored.bytes), bytes)
      assert.equal(stored.descriptor.mediaType, OCI_MANIFEST)
    }
    const read = await boundedContent(
      repository.blob(describeBlob(blob), inTime()),
      4_000_000,
      'blob',
    )
    assert.ok(read.equals(blob))
  })

  it('uploads a stream of unknown length in chunks', async () => {
    const { connection, host } = connectionTo()
    const repository = connection.repository(host, 'team/stream')
    const pieces = Array.from({ length: 40 }, () => randomBytes(1_000_003))
    async function* content(): AsyncGenerator<Uint8Array> {
      await Promise.resolve()
      yield* pieces
    }
    const { digest, sizeBytes } = await repository.putStream(content(), inTime())
    assert.equal(digest, digestOf(Buffer.concat(pieces)))
    assert.equal(await repository.blobSize(digest, inTime()), sizeBytes)
  })

  it('mounts a blob from another repository', async () => {
    const { connection, host } = connectionTo()
    const blob = randomBytes(1000)
    await putBytes(connection.repository(host, 'team/one'), blob)
    const other = connection.repository(host, 'team/two')
    assert.equal(await other.mountBlob(digestOf(blob), 'team/one', inTime()), true)
    assert.equal(await other.blobSize(digestOf(blob), inTime()), blob.length)
    const absent = digestOf(randomBytes(10))
    assert.equal(await other.mountBlob(absent, 'team/one', inTime()), false)
  })
}

describe('Repository on docker-registry', () => {
  let registry: DockerRegistry
  let connection: RegistryConnection
  before(async () => {
    registry = await startDockerRegistry()
    connection = RegistryConnection.open()
  })
  after(async () => {
    await connection.close()
    await registry.stop()
  })

  pushesAndPulls(() => ({ connection, host: registry.host }))

  it('refuses a blob whose bytes are not what its digest says', async () => {
    const repository = connection.repository(registry.host, 'team/bad')
    const blob = randomBytes(10)
    const digest = digestOf(randomBytes(10))
    await assert.rejects(
      repository.putBlob({ digest, sizeBytes: 10, open: () => blob }, inTime()),
      (error) => error instanceof SnapshotterError && /DIGEST_INVALID/.test(error.message),
    )
  })

  it('says not-found for a manifest and a blob that are not there', async () => {
    const repository = connection.repository(registry.host, 'team/none')
    await assert.rejects(repository.manifest('1', inTime()), { code: 'not-found' })
    const blob = repository.blob(describeBlob(randomBytes(5)), inTime())
    await assert.rejects(boundedContent(blob, 10, 'blob'), { code: 'not-found' })
  })

  it('says unavailable, naming the registry, when nobody listens', async () => {
    const repository = connection.repository('127.0.0.1:1', 'team/none')
    await assert.rejects(
      repository.manifest('1', inTime()),
      (error) =>
        error instanceof SnapshotterError &&
        error.code === 'unavailable' &&
        error.message.includes('127.0.0.1:1/team/none'),
    )
  })

  it('says cancelled when the caller gives up', async () => {
    const repository = connection.repository(registry.host, 'team/none')
    await assert.rejects(repository.manifest('1', AbortSignal.abort()), { code: 'cancelled' })
  })
})

describe('Repository behind htpasswd', () => {
  let registry: DockerRegistry
  let connection: RegistryConnection
  const configs: ReturnType<typeof dockerConfig>[] = []
  const connectionWith = (content: unknown): RegistryConnection => {
    const config = dockerConfig(content)
    configs.push(config)
    const credentials = new DockerConfigCredentials({ path: config.path })
    return RegistryConnection.open({}, { credentials })
  }
  before(async () => {
    registry = await startDockerRegistry({ auth: 'htpasswd' })
    connection = connectionWith({ auths: { [registry.host]: { auth: basic } } })
  })
  after(async () => {
    await connection.close()
    await registry.stop()
    for (const config of configs) config.remove()
  })

  pushesAndPulls(() => ({ connection, host: registry.host }))

  it('says unauthorized without credentials, and with wrong ones', async () => {
    const wrong = Buffer.from('builder:wrong').toString('base64')
    for (const auths of [{}, { [registry.host]: { auth: wrong } }]) {
      const other = connectionWith({ auths })
      const asked = other.repository(registry.host, 'team/app').manifest('1', inTime())
      await assert.rejects(asked, { code: 'unauthorized' })
      await other.close()
    }
  })

  it('asks a credential helper, and gives up on one that hangs', async () => {
    const config = dockerConfig({ credHelpers: { [registry.host]: 'thin-test' } })
    configs.push(config)
    const program = join(config.folder, 'docker-credential-thin-test')
    const answer = JSON.stringify({ Username: ACCOUNT.username, Secret: ACCOUNT.password })
    writeFileSync(
      program,
      `#!/bin/sh\nread server\n[ "$server" = ${registry.host} ] && echo '${answer}'\n`,
    )
    chmodSync(program, 0o755)
    const path = process.env['PATH'] ?? ''
    process.env['PATH'] = `${config.folder}${delimiter}${path}`
    try {
      const options = { path: config.path, helperTimeoutMs: 300 }
      const credentials = new DockerConfigCredentials(options)
      const other = RegistryConnection.open({}, { credentials })
      const repository = other.repository(registry.host, 'team/helper')
      await putBytes(repository, randomBytes(10))
      await other.close()
      writeFileSync(program, '#!/bin/sh\nexec sleep 30\n')
      await assert.rejects(credentials.credentialFor(registry.host), { code: 'unauthorized' })
    } finally {
      process.env['PATH'] = path
    }
  })
})

describe('Repository behind a token server', () => {
  let tokens: TokenServer
  let registry: DockerRegistry
  let connection: RegistryConnection
  let config: ReturnType<typeof dockerConfig>
  before(async () => {
    tokens = await startTokenServer()
    registry = await startDockerRegistry({ auth: tokens.auth })
    config = dockerConfig({ auths: { [registry.host]: { auth: basic } } })
    const credentials = new DockerConfigCredentials({ path: config.path })
    connection = RegistryConnection.open({}, { credentials })
  })
  after(async () => {
    await connection.close()
    await registry.stop()
    await tokens.stop()
    config.remove()
  })

  pushesAndPulls(() => ({ connection, host: registry.host }))

  it('pulls anonymously, may not push, and asks once for what many want', async () => {
    const blob = randomBytes(100)
    await putBytes(connection.repository(registry.host, 'team/open'), blob)
    const other = RegistryConnection.open()
    const repository = other.repository(registry.host, 'team/open')
    tokens.questions.length = 0
    const many = Array.from({ length: 8 }, () => repository.blobSize(digestOf(blob), inTime()))
    assert.deepEqual(await Promise.all(many), Array(8).fill(100))
    assert.equal(tokens.questions.length, 1)
    assert.equal(tokens.questions[0]?.authorization, undefined)
    await assert.rejects(putBytes(repository, randomBytes(9)), { code: 'unauthorized' })
    await other.close()
  })

  it('renews a token that has expired', async () => {
    const other = RegistryConnection.open()
    const repository = other.repository(registry.host, 'team/open')
    tokens.lifeSeconds = 1
    tokens.questions.length = 0
    await repository.resolve('1', inTime())
    await new Promise((resolve) => setTimeout(resolve, 700))
    await repository.resolve('1', inTime())
    tokens.lifeSeconds = 300
    assert.equal(tokens.questions.length, 2)
    await other.close()
  })

  it('exchanges an identity token', async () => {
    const identity = dockerConfig({ auths: { [registry.host]: { identitytoken: 'refresh-me' } } })
    const credentials = new DockerConfigCredentials({ path: identity.path })
    const other = RegistryConnection.open({}, { credentials })
    await putBytes(other.repository(registry.host, 'team/identity'), randomBytes(10))
    await other.close()
    identity.remove()
  })
})
