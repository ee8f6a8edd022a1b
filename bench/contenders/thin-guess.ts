/** The thin image with a startup pack of what the program needs as far as its files tell. */
import type { Contender } from './contender.js'
import { convertedImage } from './converted-image.js'
import { ownMachine } from './own-machine.js'

export const THIN_GUESS: Contender = {
  name: 'thin-guess',
  unavailable: () => Promise.resolve(undefined),
  publish: async (sandbox, _workload, ordinary) => ({
    reference: await convertedImage(sandbox, ordinary, 'thin-guess', ['--guess']),
  }),
  startMachine: (sandbox) => ownMachine(sandbox, 'thin'),
}
