import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Digest, digestOf, hexOf } from '../../../../index-format/index.js'
import type { ConvertResult } from '../../../../snapshotter/publish/convert/index.js'
import { runProgram } from '../../../sandbox/program.js'
import { type DockerRegistry, startDockerRegistry } from '../../images/registry/docker-registry.js'
import { type SampleImage, makeSampleImage } from './sample-image.js'
import { ThinReader } from './thin-reader.js'

const THINCTL = fileURLToPath(new URL('../../../../snapshotter/cli/thinctl.js', import.meta.url))
/** Times of the kill, in milliseconds after the start. A whole run takes about a second. */
const MOMENTS_MS = [150, 250, 350, 450, 550, 650, 750, 900, 1100, 1300]

/**
 * Repeats `ask` for up to 5 seconds until it succeeds. The registry may still process requests of
 * the killed program, and it may list a tag before the tag's manifest is there.
 */
async function settled<T>(ask: () => Promise<T>): Promise<T> {
  const deadlineMs = performance.now() + 5_000
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (performance.now() > deadlineMs) throw error
      await sleep(50)
    }
  }
}

describe('thinctl convert, killed at any moment', () => {
  let sample: SampleImage
  let registry: DockerRegistry
  let temp: string
  before(async () => {
    sample = await makeSampleImage()
    registry = await startDockerRegistry()
    temp = mkdtempSync(join(tmpdir(), 'test-killed-'))
  })
  after(async () => {
    await registry.stop()
    sample.remove()
    rmSync(temp, { recursive: true, force: true })
  })

  const command = (destination: string, database: string): string[] => [
    ...[process.execPath, THINCTL, 'convert', `oci:${sample.layout}:1`, destination],
    ...['--database', join(temp, database), '--temp', temp, '--json'],
  ]
  const run = async (destination: string, database: string): Promise<ConvertResult> => {
    const { stdout } = await runProgram(command(destination, database))
    return JSON.parse(stdout) as ConvertResult
  }
  const killAfter = async (line: string[], ms: number): Promise<void> => {
    const [program = '', ...args] = line
    const child = spawn(program, args, { stdio: 'ignore' })
    const timer = setTimeout(() => child.kill('SIGKILL'), ms)
    await once(child, 'exit')
    clearTimeout(timer)
  }

  it('leaves a registry in which everything that is named is there', async () => {
    const expected = await run(`${registry.host}/clean:thin`, 'clean.db')
    for (const ms of MOMENTS_MS) {
      await killAfter(command(`${registry.host}/killed:thin`, 'killed.db'), ms)
      await assertComplete()
    }
    const again = await run(`${registry.host}/killed:thin`, 'killed.db')
    await assertComplete()
    const indexes = (result: ConvertResult): unknown => result.platforms[0]?.merged.digest
    assert.equal(indexes(again), indexes(expected))
    assert.equal((await run(`${registry.host}/killed:thin`, 'killed.db')).published.sentBlobs, 0)
  })

  it('leaves a folder whose blobs are what they are called, and the next run uses them', async () => {
    const layout = join(temp, 'layout')
    for (const ms of MOMENTS_MS) {
      await killAfter(command(`oci:${layout}:thin`, 'folder.db'), ms)
      const blobs = join(layout, 'blobs/sha256')
      if (!existsSync(blobs)) continue
      for (const name of readdirSync(blobs).filter((one) => !one.startsWith('.'))) {
        assert.equal(hexOf(digestOf(readFileSync(join(blobs, name)))), name)
      }
    }
    await run(`oci:${layout}:thin`, 'folder.db')
    const again = await run(`oci:${layout}:thin`, 'folder.db')
    assert.equal(again.published.sentBlobs, 0)
    assert.ok(again.platforms[0]?.layers.every((layer) => layer.reused))
  })

  /**
   * Checks that every manifest in the repository of the killed program names only existing blobs.
   */
  async function assertComplete(): Promise<void> {
    const thin = new ThinReader(`http://${registry.host}/v2/killed`)
    const answer = await fetch(`http://${registry.host}/v2/killed/tags/list`)
    if (answer.status === 404) return
    const { tags } = (await answer.json()) as { tags: string[] | null }
    for (const tag of tags ?? []) {
      const manifest = await settled(() => thin.manifest(tag))
      const digests: Digest[] = [
        manifest.config.digest,
        ...manifest.layers.map((one) => one.digest),
      ]
      for (const digest of digests) await thin.blob(digest)
      if (tag !== 'thin') continue
      const { thin: section } = await thin.recipe(manifest)
      for (const index of [section?.merged, ...(section?.layers ?? [])]) {
        if (index) await thin.blob(index.blob.digest)
      }
    }
  }
})
