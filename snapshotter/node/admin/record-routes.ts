/**
 * Starts and stops recordings over the admin socket: `POST /v1/record/start?tree=…` and `POST
 * /v1/record/stop?tree=…&command=…`. `tree` is a tree's name or the digest of its index. `stop`
 * answers with the profile.
 */
import { bytesFromProfile } from '../../../index-format/index.js'
import type { AdminRoutes } from './admin-server.js'
import { SnapshotterError } from '../../errors.js'
import type { Recorder } from '../starts/recorder.js'

/** Limits of the profile format: commands of one profile, and bytes of one command. */
const MAX_COMMANDS = 64
const MAX_COMMAND_BYTES = 4096

export function recordRoutes(recorder: Recorder): AdminRoutes {
  const contentType = 'application/json'
  return {
    'POST /v1/record/start': async (signal, query) => {
      const started = await recorder.start(treeOf(query), signal)
      return { contentType, body: JSON.stringify(started) }
    },
    'POST /v1/record/stop': async (_signal, query) => {
      const profile = await recorder.stop(treeOf(query), commandsOf(query))
      return { contentType, body: Buffer.from(bytesFromProfile(profile)).toString() }
    },
  }
}

function treeOf(query: URLSearchParams): string {
  const tree = query.get('tree')
  if (tree !== null && tree !== '') return tree
  throw new SnapshotterError('invalid-argument', 'say which tree: ?tree=NAME or ?tree=sha256:…')
}

/**
 * The commands that the profile names, for information only. Control characters become spaces. Text
 * beyond the limits is cut off.
 */
function commandsOf(query: URLSearchParams): string[] {
  const commands = query.getAll('command').slice(0, MAX_COMMANDS)
  const printable = commands.map((text) => text.replace(/[\u0000-\u001f\u007f]+/g, ' '))
  return printable
    .map((text) =>
      Buffer.from(text)
        .subarray(0, MAX_COMMAND_BYTES)
        .toString()
        .replace(/\ufffd$/, ''),
    )
    .filter((text) => text !== '')
}
