import assert from 'node:assert/strict'
import { digestOf, type Profile } from '../../../index-format/index.js'
import {
  profileArtifact,
  profileLayers,
  profileOfLayer,
  profileTag,
} from '../../../snapshotter/profiles/profile-artifact.js'

const index = digestOf(Buffer.from('index'))
const other = digestOf(Buffer.from('other'))
const subject = {
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  digest: digestOf(Buffer.from('image')),
  sizeBytes: 5,
}

describe('a profile artifact', () => {
  it('holds profiles for one index, whichever they were recorded with', () => {
    const profiles = [profileOf('a', 1), profileOf('b', 2)]
    const { manifest, blobs } = profileArtifact(profiles, { index, subject })
    const found = profileLayers(manifest, index, 'here').map((layer) => {
      const bytes = layer.data
      assert.ok(bytes && blobs.some(({ digest }) => digest === layer.digest))
      return profileOfLayer(layer, bytes, 'here')
    })
    assert.deepEqual(
      found,
      profiles.map((profile) => ({ ...profile, index })),
    )
    const json = JSON.parse(Buffer.from(manifest).toString()) as { subject: { digest: string } }
    assert.equal(json.subject.digest, subject.digest)
  })

  it('has a tag that registries take', () => {
    assert.match(profileTag(index), /^[a-z0-9_][a-z0-9._-]{0,127}$/)
  })

  it('leaves large profiles to their blobs', () => {
    const { manifest, blobs } = profileArtifact([profileOf('a', 60_000)], { index, subject })
    const [layer] = profileLayers(manifest, index, 'here')
    assert.equal(layer?.data, undefined)
    assert.ok(manifest.length < 2_000)
    assert.ok(blobs.some(({ digest }) => digest === layer?.digest))
  })

  it('is not believed for another index, or with other bytes', () => {
    const { manifest } = profileArtifact([profileOf('a', 1)], { index, subject })
    assert.throws(() => profileLayers(manifest, other, 'here'), /holds no profiles of index/)
    const [layer] = profileLayers(manifest, index, 'here')
    assert.ok(layer)
    assert.throws(() => profileOfLayer(layer, Buffer.from('{}'), 'here'), /has digest/)
  })

  it('is not made of too many profiles, or of none', () => {
    const many = Array.from({ length: 33 }, (_, at) => profileOf(String(at), 1))
    for (const profiles of [many, []]) {
      assert.throws(() => profileArtifact(profiles, { index, subject }), /can be shared/)
    }
  })
})

function profileOf(command: string, ranges: number): Profile {
  return {
    index: other,
    commands: [command],
    ranges: Array.from({ length: ranges }, (_, at) => {
      return { ino: 1, offset: 2 * at * 4096, length: 4096 }
    }),
  }
}
