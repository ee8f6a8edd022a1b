import assert from 'node:assert/strict'
import {
  type Extent,
  extentsWithStartup,
  type Profile,
  startupContent,
  type StartupPlace,
  type Tree,
} from '../../../index-format/index.js'

const index = `sha256:${'ab'.repeat(32)}` as const
const PAGE = 4096

/** A tree that has nothing but extents. */
function treeOf(extents: Record<number, readonly Extent[]>): Tree {
  return {
    inode: () => undefined,
    lookup: () => undefined,
    readdir: () => [],
    readlink: () => undefined,
    xattrs: () => [],
    extents: (ino) => [...(extents[ino] ?? [])],
  }
}

function profileOf(...ranges: [ino: number, page: number, pages: number][]): Profile {
  return {
    index,
    commands: [],
    ranges: ranges.map(([ino, page, pages]) => ({
      ino,
      offset: page * PAGE,
      length: pages * PAGE,
    })),
  }
}

/** Places startup content in packs 8 and 9. Pack 8 has `room` bytes. */
function placeWith(room: number): StartupPlace {
  return (offset) =>
    offset < room
      ? { pack: 8, rawOffset: offset, roomBytes: room - offset }
      : { pack: 9, rawOffset: offset - room, roomBytes: Number.MAX_SAFE_INTEGER }
}

/** The place of each byte of a file as `pack:rawOffset`; a hole is `-`. */
function bytesOf(extents: readonly Extent[], sizeBytes: number): string[] {
  const bytes = new Array<string>(sizeBytes).fill('-')
  for (const { offset, length, pack, rawOffset } of extents) {
    for (let i = 0; i < length; i++) bytes[offset + i] = `${pack}:${rawOffset + i}`
  }
  return bytes
}

describe('startupContent', () => {
  it('lays out what was read in the order in which it was read, cut at the ends of files', () => {
    const tree = treeOf({
      2: [{ offset: 0, length: 5000, pack: 0, rawOffset: 100 }],
      3: [{ offset: 0, length: 3 * PAGE, pack: 1, rawOffset: 0 }],
    })
    const { pieces, sizeBytes } = startupContent(tree, profileOf([3, 1, 1], [2, 0, 2]))
    assert.deepEqual(pieces, [
      {
        ino: 3,
        offset: PAGE,
        length: PAGE,
        source: { pack: 1, rawOffset: PAGE },
        startupOffset: 0,
      },
      { ino: 2, offset: 0, length: 5000, source: { pack: 0, rawOffset: 100 }, startupOffset: PAGE },
    ])
    assert.equal(sizeBytes, PAGE + 5000)
  })

  it('leaves out holes and inodes without content', () => {
    const tree = treeOf({
      2: [
        { offset: 0, length: 100, pack: 0, rawOffset: 0 },
        { offset: 2 * PAGE, length: PAGE, pack: 0, rawOffset: 100 },
      ],
    })
    const { pieces, sizeBytes } = startupContent(tree, profileOf([2, 0, 3], [77, 0, 1]))
    assert.deepEqual(
      pieces.map(({ offset, length }) => [offset, length]),
      [
        [0, 100],
        [2 * PAGE, PAGE],
      ],
    )
    assert.equal(sizeBytes, 100 + PAGE)
  })
})

describe('extentsWithStartup', () => {
  const extents: readonly Extent[] = [
    { offset: 0, length: 2 * PAGE, pack: 0, rawOffset: 1000 },
    { offset: 3 * PAGE, length: 2 * PAGE + 17, pack: 1, rawOffset: 0 },
  ]
  const sizeBytes = 5 * PAGE + 17

  for (const room of [10 * PAGE, PAGE + 5]) {
    it(`moves what was read and nothing else, with ${room} bytes of room in the first pack`, () => {
      const tree = treeOf({ 2: extents })
      const profile = profileOf([2, 4, 2], [2, 1, 1])
      const { pieces } = startupContent(tree, profile)
      const place = placeWith(room)
      const moved = bytesOf(extentsWithStartup(extents, pieces, place), sizeBytes)
      const expected = bytesOf(extents, sizeBytes)
      for (const { offset, length, startupOffset } of pieces) {
        for (let i = 0; i < length; i++) {
          const { pack, rawOffset } = place(startupOffset + i)
          expected[offset + i] = `${pack}:${rawOffset}`
        }
      }
      assert.deepEqual(moved, expected)
    })
  }

  it('makes one extent of pages that were read one after the other', () => {
    const tree = treeOf({ 2: extents })
    const { pieces } = startupContent(tree, profileOf([2, 0, 1], [2, 1, 1]))
    assert.deepEqual(extentsWithStartup(extents, pieces, placeWith(10 * PAGE)), [
      { offset: 0, length: 2 * PAGE, pack: 8, rawOffset: 0 },
      { offset: 3 * PAGE, length: 2 * PAGE + 17, pack: 1, rawOffset: 0 },
    ])
  })

  it('leaves a file alone that was not read', () => {
    assert.deepEqual(extentsWithStartup(extents, [], placeWith(1)), extents)
  })
})
