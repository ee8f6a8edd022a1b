import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ConvertResult } from '../../../snapshotter/publish/convert/index.js'
import { type ProgramResult, runProgram, tryProgram } from '../../sandbox/program.js'
import { type SampleImage, makeSampleImage } from '../publish/convert/sample-image.js'
import {
  ACCOUNT,
  type DockerRegistry,
  startDockerRegistry,
} from '../images/registry/docker-registry.js'

const THINCTL = fileURLToPath(new URL('../../../snapshotter/cli/thinctl.js', import.meta.url))

describe('thinctl', () => {
  let sample: SampleImage
  let temp: string
  before(async () => {
    sample = await makeSampleImage()
  })
  after(() => {
    sample.remove()
  })
  beforeEach(() => {
    temp = mkdtempSync(join(tmpdir(), 'test-thinctl-'))
  })
  afterEach(() => {
    rmSync(temp, { recursive: true, force: true })
  })

  const thinctl = (...args: string[]): Promise<ProgramResult> => {
    const env = { XDG_STATE_HOME: join(temp, 'state'), DOCKER_CONFIG: join(temp, 'docker') }
    return tryProgram([process.execPath, THINCTL, ...args], { env })
  }
  const source = (): string => `oci:${sample.layout}:1`

  describe('convert', () => {
    it('prints a summary, and nothing on standard error of a pipe', async () => {
      const done = await thinctl('convert', source(), `oci:${temp}/out:t`)
      assert.equal(done.exitCode, 0, done.stderr)
      assert.equal(done.stderr, '')
      assert.match(done.stdout, /linux\/amd64: sha256:[0-9a-f]{64}/)
      assert.deepEqual(readdirSync(join(temp, 'state/thin-snapshotter')), ['publish.db'])
    })

    it('prints JSON with digests, sizes, reuse, stage times and memory', async () => {
      const args = ['convert', source(), `oci:${temp}/out:t`, '--json', '--level', '5']
      const first = JSON.parse((await thinctl(...args)).stdout) as ConvertResult
      const [platform] = first.platforms
      assert.ok(platform !== undefined && platform.contentBytes > 0 && platform.originalBytes > 0)
      assert.ok(platform.layers.every((layer) => !layer.reused && layer.rawBytes > 0))
      assert.ok((first.stageMs.unpack ?? 0) > 0 && first.elapsedMs > 0)
      assert.ok(first.peakRssBytes > 20e6 && first.peakRssBytes < 300e6)
      const second = JSON.parse((await thinctl(...args)).stdout) as ConvertResult
      assert.equal(second.digest, first.digest)
      assert.ok(second.platforms[0]?.layers.every((layer) => layer.reused))
    })

    it('says what memory it took itself, not what the program had that started it', async () => {
      // getrusage(2) also counts the memory of the parent before exec. Therefore allocate far more
      // memory here than thinctl may report.
      const ours = Buffer.alloc(600e6, 1)
      const { stdout } = await thinctl('convert', source(), `oci:${temp}/out:t`, '--json')
      const { peakRssBytes } = JSON.parse(stdout) as ConvertResult
      assert.ok(peakRssBytes < ours.length / 2, String(peakRssBytes))
    })

    it('shows bars on a terminal', async () => {
      const line = [process.execPath, THINCTL, 'convert', source(), `oci:${temp}/out:t`].join(' ')
      const env = { XDG_STATE_HOME: join(temp, 'state') }
      const shown = await runProgram(['script', '-qec', line, '/dev/null'], { env })
      assert.match(shown.stdout, /layer 1 of \d+: (?:unpack|pack).*MiB/)
    })

    it('reads the credentials that docker login wrote', async () => {
      const registry: DockerRegistry = await startDockerRegistry({ auth: 'htpasswd' })
      try {
        const destination = `${registry.host}/team/app:thin`
        const refused = await thinctl('convert', source(), destination)
        assert.equal(refused.exitCode, 3, refused.stderr)
        assert.match(refused.stderr, new RegExp(`${registry.host}/team/app.*401`))
        const pair = `${ACCOUNT.username}:${ACCOUNT.password}`
        const auths = { [registry.host]: { auth: Buffer.from(pair).toString('base64') } }
        mkdirSync(join(temp, 'docker'))
        writeFileSync(join(temp, 'docker/config.json'), JSON.stringify({ auths }))
        const done = await thinctl('convert', source(), destination)
        assert.equal(done.exitCode, 0, done.stderr)
      } finally {
        await registry.stop()
      }
    })

    const failures: [string, () => string[], number, RegExp][] = [
      ['no destination', () => ['convert', source()], 2, /missing required argument/],
      ['a level beyond 19', () => ['convert', source(), 'oci:/x', '--level', '20'], 2, /1 to 19/],
      [
        'a platform that is none',
        () => ['convert', source(), 'oci:/x', '--platform', 'x'],
        2,
        /os\/arch/,
      ],
      ['an archive without a store', () => ['convert', source(), `${temp}/a.tar`], 2, /--store/],
      [
        'a static server as store',
        () => ['convert', source(), `${temp}/a.tar`, '--store', 'https://example.com/x/'],
        2,
        /takes no uploads/,
      ],
      [
        'credentials in a store URL',
        () => ['convert', source(), `oci:${temp}/o`, '--store-url', 'https://u:p@example.com/'],
        2,
        /must not hold credentials/,
      ],
      [
        'a source that is not there',
        () => ['convert', `oci:${temp}/no`, 'oci:/x'],
        2,
        /not an OCI layout/,
      ],
      [
        'a registry that is not there',
        () => ['convert', '127.0.0.1:1/app:1', `oci:${temp}/out`],
        3,
        /127\.0\.0\.1:1\/app.*gave up/,
      ],
      ['an unknown command', () => ['transmogrify'], 2, /unknown command|too many arguments/],
    ]
    for (const [name, args, exitCode, message] of failures) {
      it(`ends with ${exitCode} and says why: ${name}`, async () => {
        const done = await thinctl(...args())
        assert.equal(done.exitCode, exitCode, done.stderr)
        assert.match(done.stderr, message)
        assert.doesNotMatch(done.stderr, / {4}at /, 'a stack trace is not for people')
      })
    }

    it('ends with 130 when it is interrupted, and leaves no temporary file', async () => {
      const args = [
        'convert',
        source(),
        `oci:${temp}/out:t`,
        '--temp',
        temp,
        '--database',
        ':memory:',
      ]
      const child = spawn(process.execPath, [THINCTL, ...args], { stdio: 'ignore' })
      while (!readdirSync(temp).some((name) => name.startsWith('thinctl-convert-'))) {
        assert.equal(child.exitCode, null, 'it ended too early')
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      child.kill('SIGINT')
      const [code] = (await once(child, 'exit')) as [number | null]
      assert.equal(code, 130)
      assert.deepEqual(
        readdirSync(temp).filter((name) => name.startsWith('thinctl-')),
        [],
      )
    })
  })

  it('serve prints its address as JSON, serves, and ends with 0 on SIGTERM', async () => {
    const args = [THINCTL, 'serve', sample.layout, '--listen', '127.0.0.1:0', '--json']
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      const [line] = (await once(child.stdout, 'data')) as [Buffer]
      const { url } = JSON.parse(line.toString()) as { url: string }
      const answer = await fetch(`${url}/v2/app/manifests/1`)
      assert.equal(answer.status, 200)
      await answer.arrayBuffer()
    } finally {
      child.kill('SIGTERM')
    }
    const [code] = (await once(child, 'exit')) as [number | null]
    assert.equal(code, 0)
  })
})
