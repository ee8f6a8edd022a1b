/** Entry point of a dispatcher thread. Started by `FuseServer` only. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { Filesystem } from '../filesystem/filesystem.js'
import { openTreeSource } from '../trees/source-spec.js'
import { Dispatcher } from './dispatcher.js'
import type { DispatcherData, DispatcherMessage, MirrorMessage } from './dispatcher-messages.js'
import { LocalMirrors } from './local-mirrors.js'
import { RequestHandler } from './request-handler.js'
import { StatsRow } from './server-stats.js'
import { printRequestHeader } from '../wire/print.js'

const port = parentPort
if (port === null) throw new Error('dispatcher-worker.js runs as a worker thread only')

const data = workerData as DispatcherData
const post = (message: DispatcherMessage): void => {
  port.postMessage(message)
}
const receive = (): MirrorMessage | undefined => {
  const received = receiveMessageOnPort(port) as { message: MirrorMessage } | undefined
  return received?.message
}

const stats = new StatsRow(data.stats, data.statsRow)
const trees = openTreeSource(data.trees, data.changes)
const root = data.trees.kind === 'registry' ? 'trees' : 'tree'
const handler = new RequestHandler(
  { class: data.trees.class },
  {
    filesystem: new Filesystem({ root }, { trees }),
    content: new LocalMirrors(receive),
    onFault: (error, request) => {
      stats.countFault()
      const cause = error instanceof Error ? error : new Error(String(error))
      post({ kind: 'fault', request: printRequestHeader(request), error: cause })
    },
  },
)
post({ kind: 'ready' })
new Dispatcher(data, { handler, stats, post }).run()
trees.close()
