/** The thin image as converted. Its start is not recorded but guessed. */
import type { Contender } from './contender.js'
import { convertedImage } from './converted-image.js'
import { ownMachine } from './own-machine.js'

export const THIN: Contender = {
  name: 'thin',
  unavailable: () => Promise.resolve(undefined),
  publish: async (sandbox, _workload, ordinary) => ({
    reference: await convertedImage(sandbox, ordinary, 'thin'),
  }),
  startMachine: (sandbox) => ownMachine(sandbox, 'thin'),
}
