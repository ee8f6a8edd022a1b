import assert from 'node:assert/strict'
import {
  AccessOrder,
  bytesFromProfile,
  IndexFormatError,
  mergedProfile,
  type Profile,
  profileFromBytes,
} from '../../../index-format/index.js'

const index = `sha256:${'ab'.repeat(32)}` as const

function profileOf(...ranges: [ino: number, offset: number, length: number][]): Profile {
  return {
    index,
    commands: ['python3 -c 1'],
    ranges: ranges.map(([ino, offset, length]) => ({ ino, offset, length })),
  }
}

describe('a profile', () => {
  it('survives being written and read', () => {
    const profile = profileOf([7, 0, 8192], [3, 4096, 4096], [7, 16384, 4096])
    assert.deepEqual(profileFromBytes(bytesFromProfile(profile)), profile)
  })

  it('is the same bytes for the same reads', () => {
    const profile = profileOf([7, 0, 8192])
    assert.equal(
      Buffer.from(bytesFromProfile(profile)).toString(),
      `{"version":1,"index":"${index}","commands":["python3 -c 1"],"ranges":[[7,0,8192]]}\n`,
    )
  })

  const refused: Record<string, [json: unknown, code: string, words: string]> = {
    'no JSON': ['{', 'invalid-profile', 'not JSON'],
    'another version': [
      { version: 2, index, commands: [], ranges: [] },
      'unsupported-version',
      '2',
    ],
    'a bad digest': [
      { version: 1, index: 'md5:1', commands: [], ranges: [] },
      'invalid-profile',
      '$.index',
    ],
    'an inode of 0': [
      { version: 1, index, commands: [], ranges: [[0, 0, 4096]] },
      'invalid-profile',
      '$.ranges[0][0]',
    ],
    'an offset inside a page': [
      {
        version: 1,
        index,
        commands: [],
        ranges: [
          [1, 0, 4096],
          [1, 5, 4096],
        ],
      },
      'invalid-profile',
      '$.ranges[1]',
    ],
    'an empty range': [
      { version: 1, index, commands: [], ranges: [[1, 0, 0]] },
      'invalid-profile',
      '$.ranges[0][2]',
    ],
    'a range with too few numbers': [
      { version: 1, index, commands: [], ranges: [[1, 0]] },
      'invalid-profile',
      '$.ranges[0]',
    ],
    'a directory that is no inode': [
      { version: 1, index, commands: [], ranges: [], directories: [1, 0] },
      'invalid-profile',
      '$.directories[1]',
    ],
    'a negative offset': [
      { version: 1, index, commands: [], ranges: [[1, -4096, 4096]] },
      'invalid-profile',
      '$.ranges[0][1]',
    ],
  }
  for (const [name, [json, code, words]] of Object.entries(refused)) {
    it(`is refused with ${name}, and the error says where`, () => {
      const text = typeof json === 'string' ? json : JSON.stringify(json)
      assert.throws(
        () => profileFromBytes(Buffer.from(text)),
        (error: unknown) => {
          assert.ok(error instanceof IndexFormatError)
          assert.equal(error.code, code)
          assert.ok(error.message.includes(words), error.message)
          return true
        },
      )
    })
  }
})

describe('the directories of a profile', () => {
  it('come back in ascending order, each once', () => {
    const json = { version: 1, index, commands: [], ranges: [], directories: [9, 1, 9] }
    const profile = profileFromBytes(Buffer.from(JSON.stringify(json)))
    assert.deepEqual(profile.directories, [1, 9])
    assert.deepEqual(profileFromBytes(bytesFromProfile(profile)), profile)
  })
})

describe('AccessOrder', () => {
  it('rounds reads to pages and keeps the order of first access', () => {
    const order = new AccessOrder()
    order.add(5, 100, 10)
    order.add(9, 8000, 200)
    order.add(5, 4000, 200)
    assert.deepEqual(
      order.ranges(),
      profileOf([5, 0, 4096], [9, 4096, 8192], [5, 4096, 4096]).ranges,
    )
  })

  it('joins what is read one after the other', () => {
    const order = new AccessOrder()
    for (let offset = 0; offset < 65536; offset += 4096) order.add(2, offset, 4096)
    assert.deepEqual(order.ranges(), profileOf([2, 0, 65536]).ranges)
  })

  it('names no page twice', () => {
    const order = new AccessOrder()
    order.add(2, 4096, 4096)
    order.add(2, 0, 16384)
    order.add(2, 0, 16384)
    assert.deepEqual(
      order.ranges(),
      profileOf([2, 4096, 4096], [2, 0, 4096], [2, 8192, 8192]).ranges,
    )
  })
})

describe('mergedProfile', () => {
  it('looks into the directories of all starts, or nobody knows into which', () => {
    const first = { ...profileOf([2, 0, 4096]), directories: [1, 9] }
    const second = { ...profileOf([3, 0, 4096]), directories: [4, 9] }
    assert.deepEqual(mergedProfile(first, second).directories, [1, 4, 9])
    assert.equal(mergedProfile(first, profileOf([3, 0, 4096])).directories, undefined)
  })

  it('keeps the first start as it was and adds what further ones read beside it', () => {
    const first = profileOf([2, 0, 8192], [3, 0, 4096])
    const second = {
      ...profileOf([3, 0, 8192], [2, 4096, 4096]),
      commands: ['python3 -m http.server'],
    }
    const merged = mergedProfile(first, second)
    assert.deepEqual(merged.ranges, profileOf([2, 0, 8192], [3, 0, 8192]).ranges)
    assert.deepEqual(merged.commands, ['python3 -c 1', 'python3 -m http.server'])
  })
})
