/**
 * What a cold-start benchmark has measured so far, in a file that grows by one line of JSON with
 * every start: an interrupted benchmark keeps what it has, and another one may add to it.
 */
import { appendFileSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ColdStartResult, FloorRecord, StartRecord } from './start-record.js'

export type Conditions = Omit<ColdStartResult, 'starts' | 'floors'>

type Line =
  | { readonly kind: 'conditions'; readonly conditions: Conditions }
  | { readonly kind: 'start'; readonly start: StartRecord }
  | { readonly kind: 'floor'; readonly floor: FloorRecord }

const NAME = 'cold-start.jsonl'

export class ResultFile {
  readonly #path: string

  /** Makes the folder where it is not there. */
  static open(folder: string): ResultFile {
    mkdirSync(folder, { recursive: true })
    return new ResultFile(join(folder, NAME))
  }

  private constructor(path: string) {
    this.#path = path
  }

  append(line: Line): void {
    appendFileSync(this.#path, `${JSON.stringify(line)}\n`)
  }

  /** Everything that was appended; of conditions and floors, the last count. Throws where there is nothing. */
  read(): ColdStartResult {
    const lines = readFileSync(this.#path, 'utf8')
      .split('\n')
      .filter((text) => text !== '')
      .map((text) => JSON.parse(text) as Line)
    const all = lines.flatMap((line) => (line.kind === 'conditions' ? [line.conditions] : []))
    const last = all.at(-1)
    if (last === undefined) throw new Error(`${this.#path} does not say what was measured`)
    const floors = lines.flatMap((line) => (line.kind === 'floor' ? [line.floor] : []))
    return {
      ...last,
      command: all.map(({ command }) => command).join(' && '),
      networks: uniqueBy(
        all.flatMap(({ networks }) => networks),
        ({ name }) => name,
      ),
      skipped: uniqueBy(
        all.flatMap(({ skipped }) => skipped),
        ({ contender }) => contender,
      ),
      starts: lines.flatMap((line) => (line.kind === 'start' ? [line.start] : [])),
      floors: uniqueBy(floors, ({ workload, network }) => `${workload} ${network}`),
    }
  }
}

/** The last of each key, in the order of the first. */
function uniqueBy<T>(things: readonly T[], keyOf: (thing: T) => string): T[] {
  return [...new Map(things.map((thing) => [keyOf(thing), thing])).values()]
}
