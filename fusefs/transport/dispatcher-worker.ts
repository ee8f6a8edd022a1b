/** Entry point of a dispatcher thread. Only `DispatcherPool` starts it. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { openTreeSource } from '../trees/source-spec.js'
import type { DispatcherData, DispatcherMessage, MirrorMessage } from './dispatcher-messages.js'
import { openDispatcher } from './open-dispatcher.js'

const port = parentPort
if (port === null) throw new Error('dispatcher-worker.js runs as a worker thread only')

// A thread that was loaded in advance gets its data later, in a message.
const data = (workerData ??
  (await new Promise((resolve) => port.once('message', resolve)))) as DispatcherData
const post = (message: DispatcherMessage): void => {
  port.postMessage(message)
}
const receive = (): MirrorMessage | undefined =>
  receiveMessageOnPort(port)?.message as MirrorMessage | undefined

const trees = openTreeSource(data.trees, data.changes)
const dispatcher = openDispatcher(data, { trees, post, receive })
post({ kind: 'ready' })
dispatcher.run()
trees.close()
