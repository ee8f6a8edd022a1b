/** Stock containerd: the ordinary image, pulled and unpacked as a whole. */
import type { Contender } from './contender.js'
import { ownMachine } from './own-machine.js'

export const OVERLAYFS: Contender = {
  name: 'overlayfs',
  unavailable: () => Promise.resolve(undefined),
  publish: (_sandbox, _workload, ordinary) => Promise.resolve({ reference: ordinary }),
  startMachine: (sandbox) => ownMachine(sandbox, 'overlayfs'),
}
