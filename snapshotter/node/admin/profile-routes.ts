/**
 * Serves the profiles that this node has learned over the admin socket: `GET /v1/profiles`,
 * `GET /v1/profile?index=sha256:…` and `POST /v1/profile/forget?index=sha256:…`.
 */
import { bytesFromProfile, type Digest, isDigest } from '../../../index-format/index.js'
import type { AdminRoutes } from './admin-server.js'
import { SnapshotterError } from '../../errors.js'
import type { LearnedProfiles } from '../starts/learned-profiles.js'

export function profileRoutes(profiles: LearnedProfiles): AdminRoutes {
  const contentType = 'application/json'
  return {
    'GET /v1/profiles': async () => {
      return { contentType, body: JSON.stringify(await profiles.list()) }
    },
    'GET /v1/profile': async (_signal, query) => {
      const index = indexOf(query)
      const profile = await profiles.get(index)
      if (profile === undefined) throw unknown(index)
      return { contentType, body: Buffer.from(bytesFromProfile(profile)).toString() }
    },
    'POST /v1/profile/forget': async (_signal, query) => {
      const index = indexOf(query)
      if (!(await profiles.forget(index))) throw unknown(index)
      return { contentType, body: '{}' }
    },
  }
}

function indexOf(query: URLSearchParams): Digest {
  const index = query.get('index')
  if (index !== null && isDigest(index)) return index
  throw new SnapshotterError('invalid-argument', 'say which: ?index=sha256:…')
}

function unknown(index: Digest): SnapshotterError {
  return new SnapshotterError('not-found', `no start of ${index} was learned here`)
}
