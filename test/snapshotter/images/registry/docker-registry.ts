/** A real docker-registry on loopback, with a temporary folder of its own. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** The only account of a registry with htpasswd authentication. */
export const ACCOUNT = { username: 'builder', password: 'correct horse' }
/** The line of ACCOUNT in an htpasswd file: bcrypt, cost 4. */
const HTPASSWD = 'builder:$2y$04$qPP1cCl5BsbudRN07UBTGO8/C3PoUWmy8sO7u6pT1Ja3cm26AbuaO\n'

export interface TokenAuth {
  readonly realm: string
  readonly service: string
  readonly issuer: string
  /** PEM file with the certificate that signs tokens. */
  readonly certificatePath: string
}

export interface DockerRegistryOptions {
  readonly auth?: 'htpasswd' | TokenAuth
}

export interface DockerRegistry {
  /** `127.0.0.1:PORT`. */
  readonly host: string
  /** The folder in which the registry keeps its blobs. */
  readonly dataFolder: string
  /** Runs the registry's own garbage collector over its folder. Returns its output. */
  collectGarbage(options?: { deleteUntagged?: boolean }): string
  stop(): Promise<void>
}

export async function startDockerRegistry(
  options: DockerRegistryOptions = {},
): Promise<DockerRegistry> {
  const folder = await mkdtemp(join(tmpdir(), 'test-registry-'))
  const port = await freePort()
  const host = `127.0.0.1:${port}`
  const dataFolder = join(folder, 'data')
  const configPath = join(folder, 'config.json')
  await writeFile(join(folder, 'htpasswd'), HTPASSWD)
  const config = {
    version: 0.1,
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: dataFolder }, delete: { enabled: true } },
    http: { addr: host },
    ...authSection(options.auth, folder),
  }
  await writeFile(configPath, JSON.stringify(config))
  const child = spawn('docker-registry', ['serve', configPath], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (piece: Buffer) => {
    said = `${said}${piece.toString()}`.slice(-4000)
  })
  const ended = once(child, 'exit')
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await ended
    }
    await rm(folder, { recursive: true, force: true })
  }
  for (let tries = 0; ; tries++) {
    const answer = await fetch(`http://${host}/v2/`).catch(() => undefined)
    if (answer !== undefined) break
    if (tries === 100 || child.exitCode !== null) {
      await stop()
      throw new Error(`docker-registry did not start: ${said}`)
    }
    await sleep(100)
  }
  return {
    host,
    dataFolder,
    stop,
    collectGarbage: ({ deleteUntagged = false } = {}) => {
      const flags = deleteUntagged ? ['--delete-untagged'] : []
      const done = spawnSync('docker-registry', ['garbage-collect', ...flags, configPath], {
        encoding: 'utf8',
      })
      if (done.status !== 0) throw new Error(`garbage-collect failed: ${done.stderr}`)
      return done.stdout
    },
  }
}

/** Returns a port of 127.0.0.1 on which nothing listens. */
async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

function authSection(
  auth: 'htpasswd' | TokenAuth | undefined,
  folder: string,
): Record<string, unknown> {
  if (auth === undefined) return {}
  if (auth === 'htpasswd') {
    return { auth: { htpasswd: { realm: 'test', path: join(folder, 'htpasswd') } } }
  }
  const { realm, service, issuer, certificatePath } = auth
  return { auth: { token: { realm, service, issuer, rootcertbundle: certificatePath } } }
}
