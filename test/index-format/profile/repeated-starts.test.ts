import assert from 'node:assert/strict'
import { type Profile, PROFILE_PAGE_BYTES, repeatedStarts } from '../../../index-format/index.js'

const PAGE = PROFILE_PAGE_BYTES
const index = `sha256:${'ab'.repeat(32)}` as const

/** Makes the profile of one start. A range is [inode number, first page, number of pages]. */
function start(...ranges: [number, number, number][]): Profile {
  return {
    index,
    commands: ['go run'],
    ranges: ranges.map(([ino, page, pages]) => {
      return { ino, offset: page * PAGE, length: pages * PAGE }
    }),
  }
}

function pagesOf({ ranges }: Profile): number[][] {
  return ranges.map(({ ino, offset, length }) => [ino, offset / PAGE, length / PAGE])
}

describe('repeatedStarts', () => {
  it('keeps one start as it is', () => {
    const one = start([7, 3, 2], [9, 0, 1], [7, 40, 1])
    assert.deepEqual(repeatedStarts(one), one)
  })

  it('adds what only later starts read behind the order of the first', () => {
    const all = repeatedStarts(start([7, 3, 2], [9, 0, 1]), start([9, 0, 2], [7, 3, 2], [5, 0, 1]))
    assert.deepEqual(pagesOf(all), [
      [7, 3, 2],
      [9, 0, 2],
      [5, 0, 1],
    ])
    assert.deepEqual(all.commands, ['go run'])
  })

  it('names the rest of a file, at the end, where the starts differ in four pages or more', () => {
    const all = repeatedStarts(
      start([7, 10, 2], [7, 20, 1], [7, 30, 1], [9, 0, 1]),
      start([7, 10, 2], [7, 15, 1], [7, 25, 1], [9, 0, 1]),
    )
    assert.deepEqual(pagesOf(all), [
      [7, 10, 2],
      [7, 20, 1],
      [7, 30, 1],
      [9, 0, 1],
      [7, 15, 1],
      [7, 25, 1],
      [7, 12, 3],
      [7, 16, 4],
      [7, 21, 4],
      [7, 26, 4],
    ])
  })

  it('leaves the gaps of a file in which the starts hardly differ, and of a very large one', () => {
    const few = repeatedStarts(start([7, 0, 1], [7, 20, 1]), start([7, 0, 1], [7, 9, 1]))
    assert.deepEqual(pagesOf(few), [
      [7, 0, 1],
      [7, 20, 1],
      [7, 9, 1],
    ])
    const large = repeatedStarts(
      start([7, 0, 1], [7, 5000, 1], [7, 8192, 1]),
      start([7, 0, 1], [7, 100, 1], [7, 200, 1]),
    )
    assert.equal(
      pagesOf(large).reduce((sum, [, , pages = 0]) => sum + pages, 0),
      5,
    )
  })
})
