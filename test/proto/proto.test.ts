import assert from 'node:assert/strict'
import {
  loadSnapshotsService,
  nsFromTimestamp,
  SNAPSHOTS_SERVICE,
  timestampFromNs,
} from '../../proto/index.js'

/**
 * Encodes a length-delimited protobuf field by hand: field number and wire type, length, content.
 */
const field = (number: number, content: string | Buffer): Buffer => {
  const bytes = Buffer.from(content)
  return Buffer.concat([Buffer.of((number << 3) | 2, bytes.length), bytes])
}
const varint = (number: number, ...bytes: number[]): Buffer => Buffer.of(number << 3, ...bytes)

describe('the snapshots service', () => {
  const service = loadSnapshotsService()

  it('has the methods and paths that containerd calls', () => {
    const methods = Object.values(service)
    const names = 'Prepare View Mounts Commit Remove Stat Update List Usage Cleanup'.split(' ')
    assert.deepEqual(
      methods.map(({ path }) => path),
      names.map((name) => `/${SNAPSHOTS_SERVICE}/${name}`),
    )
    assert.deepEqual(
      methods.filter(({ responseStream }) => responseStream).map(({ path }) => path),
      [`/${SNAPSHOTS_SERVICE}/List`],
    )
    assert.ok(methods.every(({ requestStream }) => !requestStream))
  })

  it('decodes the bytes that containerd sends', () => {
    const labels = field(4, Buffer.concat([field(1, 'containerd.io/a_b'), field(2, 'v')]))
    const prepare = Buffer.concat([field(1, 'thin'), field(2, 'k'), field(3, 'p'), labels])
    assert.deepEqual(service['Prepare']?.requestDeserialize(prepare), {
      snapshotter: 'thin',
      key: 'k',
      parent: 'p',
      labels: { 'containerd.io/a_b': 'v' },
    })
    const commit = Buffer.concat([field(2, 'name'), field(3, 'key'), field(5, 'parent')])
    assert.deepEqual(service['Commit']?.requestDeserialize(commit), {
      snapshotter: '',
      name: 'name',
      key: 'key',
      labels: {},
      parent: 'parent',
    })
    const mask = field(3, field(1, 'labels.x'))
    assert.deepEqual(service['Update']?.requestDeserialize(mask), {
      snapshotter: '',
      info: null,
      updateMask: { paths: ['labels.x'] },
    })
    assert.deepEqual(
      service['List']?.requestDeserialize(Buffer.concat([field(2, 'a'), field(2, 'b')])),
      {
        snapshotter: '',
        filters: ['a', 'b'],
      },
    )
  })

  it('encodes the bytes that containerd expects', () => {
    const info = {
      name: 'n',
      parent: 'p',
      kind: 'COMMITTED',
      createdAt: timestampFromNs(300_000_000_007n),
      updatedAt: timestampFromNs(1_000_000_001n),
      labels: { a: 'b' },
    }
    assert.deepEqual(
      service['Stat']?.responseSerialize({ info }),
      field(
        1,
        Buffer.concat([
          field(1, 'n'),
          field(2, 'p'),
          varint(3, 3),
          field(4, Buffer.concat([varint(1, 0xac, 0x02), varint(2, 7)])),
          field(5, Buffer.concat([varint(1, 1), varint(2, 1)])),
          field(6, Buffer.concat([field(1, 'a'), field(2, 'b')])),
        ]),
      ),
    )
    const mounts = [{ type: 't', source: 's', target: '', options: ['ro', 'x'] }]
    const options = Buffer.concat([field(4, 'ro'), field(4, 'x')])
    assert.deepEqual(
      service['Mounts']?.responseSerialize({ mounts }),
      field(1, Buffer.concat([field(1, 't'), field(2, 's'), field(3, ''), options])),
    )
  })

  it('carries sizes beyond 32 bits, and as strings beyond 53', () => {
    const usage = service['Usage']
    const bytes = usage?.responseSerialize({ size: 2 ** 40, inodes: '9007199254740993' })
    assert.ok(bytes !== undefined)
    assert.deepEqual(usage?.responseDeserialize(bytes), {
      size: '1099511627776',
      inodes: '9007199254740993',
    })
  })
})

describe('timestamps', () => {
  const TABLE: readonly (readonly [bigint, string, number])[] = [
    [0n, '0', 0],
    [1n, '0', 1],
    [1_795_248_624_082_015_356n, '1795248624', 82_015_356],
    [-1n, '-1', 999_999_999],
    [-1_000_000_000n, '-1', 0],
    [253_402_300_799_999_999_999n, '253402300799', 999_999_999],
  ]
  for (const [timeNs, seconds, nanos] of TABLE) {
    it(`keep ${timeNs} ns`, () => {
      assert.deepEqual(timestampFromNs(timeNs), { seconds, nanos })
      assert.equal(nsFromTimestamp({ seconds, nanos }), timeNs)
    })
  }

  it('are 1970 when they are absent', () => {
    assert.equal(nsFromTimestamp(null), 0n)
  })
})
