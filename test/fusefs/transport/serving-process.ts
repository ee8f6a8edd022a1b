/**
 * A minimal daemon for tests that kill it. It serves the mount of descriptor 3, which it inherits
 * from the test; the test keeps a copy of the descriptor. Arguments: mountpoint, registry folder,
 * and the result of INIT's negotiation (JSON, empty for a new mount). It posts `{negotiated}` when
 * it serves, and `{waiting}` when a read waits for content. The content never comes. It ends when
 * it receives the message "stop".
 */
import {
  type ContentReader,
  FuseServer,
  type Log,
  negotiatedInitFromJson,
} from '../../../fusefs/index.js'

const [mountpoint = '', registryDir = '', negotiatedJson = ''] = process.argv.slice(2)

const content: ContentReader = {
  shared: () => undefined,
  read: async (_tree, _pack, _rawOffset, _target, signal) => {
    process.send?.({ waiting: true })
    await new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        reject(new Error('aborted'))
      })
    })
  },
}
const say = (fields: object, message: string): void => {
  process.stderr.write(`${message} ${JSON.stringify(fields)}\n`)
}
const log: Log = { error: say, warn: say, info: say, debug: () => undefined }
const negotiated =
  negotiatedJson === '' ? {} : { negotiated: negotiatedInitFromJson(JSON.parse(negotiatedJson)) }

const server = await FuseServer.start(
  {
    fd: 3,
    mountpoint,
    trees: { kind: 'registry', dir: registryDir, class: 'plain' },
    ...negotiated,
  },
  { content, log },
)
process.on('message', (message) => {
  if (message !== 'stop') return
  void server.stop({ timeoutMs: 2000 }).then((ended) => {
    process.send?.({ ended })
    process.disconnect()
  })
})
process.send?.({ negotiated: server.negotiated })
