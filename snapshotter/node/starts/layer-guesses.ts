/** Reads the publisher's guess of a start, a file of the thin layer. */
import { join } from 'node:path'
import type { Log } from '../../../fusefs/index.js'
import { type Profile, profileFromBytes, type ThinSection } from '../../../index-format/index.js'
import { readLayerFile } from '../../images/layer-file.js'
import type { GuessReader } from './starts.js'

export class LayerGuesses implements GuessReader {
  readonly #log: Log

  constructor(modules: { log: Log }) {
    this.#log = modules.log
  }

  read({ guess }: ThinSection, folder: string): Profile | undefined {
    if (guess === undefined) return undefined
    try {
      return profileFromBytes(readLayerFile(guess, join(folder, guess.file)))
    } catch (error) {
      this.#log.warn({ err: error }, 'what a start is guessed to read is not known')
      return undefined
    }
  }
}
