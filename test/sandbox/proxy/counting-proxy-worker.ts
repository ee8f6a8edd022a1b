/**
 * The thread of a `CountingProxy`. It is separate so that the network does not wait while the
 * thread of the proxy's owner is busy.
 */
import { parentPort, workerData } from 'node:worker_threads'
import type { ProxyAnswer, ProxyCommand, ProxyThreadData } from './counting-proxy.js'
import { Forwarder } from './forwarder.js'

const REQUEST_LINE = /^[A-Z]{3,7} \S+ HTTP\/1\.[01]\r\n/

const { targetPort, lines, counters } = workerData as ProxyThreadData
const owner = parentPort
if (owner === null) throw new Error('counting-proxy-worker.js is the thread of a CountingProxy')

const counts = new BigUint64Array(counters)
const forwarder = await Forwarder.start(targetPort, {
  sent: (bytes) => {
    Atomics.add(counts, 0, BigInt(bytes.length))
    const head = bytes.subarray(0, 2048).toString('latin1')
    if (REQUEST_LINE.test(head)) lines.postMessage(head.slice(0, head.indexOf(' HTTP/')))
  },
  received: (sizeBytes) => {
    Atomics.add(counts, 1, BigInt(sizeBytes))
  },
})

async function obey(command: ProxyCommand): Promise<void> {
  switch (command.kind) {
    case 'shape':
      forwarder.shape(command.network)
      return
    case 'refuse':
      forwarder.refuse(command.refusing)
      return
    case 'close':
      await forwarder.close()
      lines.close()
  }
}

const answer = (message: ProxyAnswer): void => {
  owner.postMessage(message)
}
owner.on('message', (command: ProxyCommand) => {
  void obey(command).then(() => {
    answer({ kind: 'done' })
    if (command.kind === 'close') owner.close()
  })
})
answer({ kind: 'listening', port: forwarder.port })
