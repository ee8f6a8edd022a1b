import assert from 'node:assert/strict'
import zstd from 'zstd-napi'
import {
  bytesFromStartupPlan,
  digestOf,
  IndexFormatError,
  type StartupPlan,
  startupPlanFromBytes,
} from '../../../index-format/index.js'

const digest = digestOf(Buffer.from('frame'))
const PLAN: StartupPlan = {
  packs: [
    {
      digest: digestOf(Buffer.from('pack')),
      sizeBytes: 260,
      rawSizeBytes: 9000,
      frames: [
        { rawOffset: 0, rawSizeBytes: 8192, offset: 0, sizeBytes: 100, digest },
        { rawOffset: 8192, rawSizeBytes: 808, offset: 100, sizeBytes: 50, digest },
      ],
    },
  ],
  runs: [
    { ino: 7, offset: 4096, length: 8192 },
    { ino: 9, offset: 0, length: 808 },
  ],
  paths: new Map([
    [7, Buffer.from('usr/bin/a b%c')],
    [9, Buffer.from([0x01, 0x2f, 0xff, 0xe9])],
  ]),
}

describe('startup plan', () => {
  it('comes back as it was written, whatever bytes its paths hold', () => {
    const bytes = bytesFromStartupPlan(PLAN)
    assert.deepEqual(bytesFromStartupPlan(PLAN), bytes)
    const back = startupPlanFromBytes(bytes)
    assert.deepEqual(back.packs, PLAN.packs)
    assert.deepEqual(back.runs, PLAN.runs)
    assert.deepEqual([...back.paths], [...PLAN.paths])
  })

  const refused: Record<string, [change: (json: Json) => void, code: string, message: RegExp]> = {
    'another version': [(json) => (json['version'] = 2), 'unsupported-version', /version is 2/],
    'runs that the packs do not hold': [
      (json) => (json['runs'] = [[7, 0, 8999]]),
      'invalid-startup-plan',
      /\$\.runs.*9000 bytes/,
    ],
    'a path that leads out of the tree': [
      (json) => (json['files'] = [[7, 'usr/../../etc/passwd']]),
      'invalid-startup-plan',
      /\$\.files\[0\]/,
    ],
    'an absolute path': [
      (json) => (json['files'] = [[7, '/etc/passwd']]),
      'invalid-startup-plan',
      /\$\.files\[0\]/,
    ],
    'a path with a NUL': [
      (json) => (json['files'] = [[7, 'etc%00/passwd']]),
      'invalid-startup-plan',
      /\$\.files\[0\]/,
    ],
    'a negative offset': [
      (json) => (json['runs'] = [[7, -4096, 9000]]),
      'invalid-startup-plan',
      /\$\.runs\[0\]\[1\]/,
    ],
  }
  for (const [what, [change, code, message]] of Object.entries(refused)) {
    it(`refuses ${what}`, () => {
      const json = JSON.parse(zstd.decompress(bytesFromStartupPlan(PLAN)).toString()) as Json
      change(json)
      assert.throws(
        () => startupPlanFromBytes(zstd.compress(Buffer.from(JSON.stringify(json)))),
        (error: unknown) =>
          error instanceof IndexFormatError && error.code === code && message.test(error.message),
      )
    })
  }

  it('refuses what expands to more than a plan may have, before it expands', () => {
    const bomb = zstd.compress(Buffer.alloc(65 * 1024 * 1024))
    assert.throws(() => startupPlanFromBytes(bomb), { code: 'limit-exceeded' })
  })

  it('refuses damaged bytes', () => {
    const bytes = Buffer.from(bytesFromStartupPlan(PLAN))
    bytes.fill(0xff, 12, 30)
    assert.throws(() => startupPlanFromBytes(bytes), { name: 'IndexFormatError' })
    assert.throws(() => startupPlanFromBytes(Buffer.from('no zstd')), {
      code: 'invalid-compression',
    })
  })
})

type Json = Record<string, unknown>
