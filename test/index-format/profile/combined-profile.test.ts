import assert from 'node:assert/strict'
import {
  bytesFromStartupPlan,
  combinedRanges,
  IndexFormatError,
  type Profile,
  PROFILE_PAGE_BYTES,
  profilesByCommand,
  profilesOfPlan,
  startupPlanFromBytes,
} from '../../../index-format/index.js'

const PAGE = PROFILE_PAGE_BYTES
const index = `sha256:${'ab'.repeat(32)}` as const

describe('combinedRanges', () => {
  it('puts what more starts read before what fewer read, each page once', () => {
    const ranges = combinedRanges([
      profileOf('a', [7, 0, 4], [9, 2, 1]),
      profileOf('b', [9, 0, 3], [7, 3, 1]),
      profileOf('c', [7, 3, 2]),
    ])
    assert.deepEqual(
      ranges.map(({ ino, offset, length, starts }) => [ino, offset / PAGE, length / PAGE, starts]),
      [
        [7, 3, 1, 0b111],
        [9, 2, 1, 0b011],
        [7, 0, 3, 0b001],
        [9, 0, 2, 0b010],
        [7, 4, 1, 0b100],
      ],
    )
  })

  it('keeps the order of a single start', () => {
    const ranges = combinedRanges([profileOf('a', [9, 100, 60], [3, 0, 60], [5, 0, 1])])
    assert.deepEqual(
      ranges.map(({ ino, starts }) => [ino, starts]),
      [
        [9, 1],
        [3, 1],
        [5, 1],
      ],
    )
  })

  it('refuses more starts than a plan can tell apart', () => {
    const many = Array.from({ length: 31 }, (_, at) => profileOf(String(at), [1, 0, 1]))
    assert.throws(
      () => combinedRanges(many),
      (error) => error instanceof IndexFormatError && error.code === 'limit-exceeded',
    )
  })

  it('comes back out of a plan as the profiles it was made of', () => {
    const profiles = [profileOf('a', [7, 0, 4], [9, 2, 1]), profileOf('b', [7, 3, 2])]
    const ranges = combinedRanges(profiles)
    const rawBytes = ranges.reduce((sum, { length }) => sum + length, 0)
    const frame = { rawOffset: 0, rawSizeBytes: rawBytes, offset: 0, sizeBytes: 10, digest: index }
    const pack = { digest: index, sizeBytes: 10, rawSizeBytes: rawBytes, frames: [frame] }
    const starts = profiles.map(({ commands }) => ({ commands }))
    const plan = { packs: [pack], runs: ranges, paths: new Map(), starts }
    const found = profilesOfPlan(startupPlanFromBytes(bytesFromStartupPlan(plan)), index)
    assert.deepEqual(
      found.map(({ commands }) => commands),
      [['a'], ['b']],
    )
    assert.deepEqual(found.map(pagesOf), profiles.map(pagesOf))
  })
})

describe('profilesByCommand', () => {
  it('replaces what was recorded of the same command, and keeps the place', () => {
    const [before, other] = [profileOf('a', [1, 0, 1]), profileOf('b', [2, 0, 1])]
    const again = profileOf('a', [3, 0, 1])
    assert.deepEqual(profilesByCommand([before, other, again]), [again, other])
  })
})

/** Makes a profile. A range is [inode number, first page, number of pages]. */
function profileOf(command: string, ...ranges: [number, number, number][]): Profile {
  return {
    index,
    commands: [command],
    ranges: ranges.map(([ino, page, pages]) => {
      return { ino, offset: page * PAGE, length: pages * PAGE }
    }),
  }
}

function pagesOf({ ranges }: Profile): string[] {
  const pages: string[] = []
  for (const { ino, offset, length } of ranges) {
    for (let at = offset; at < offset + length; at += PAGE) pages.push(`${ino} ${at / PAGE}`)
  }
  return pages.sort()
}
