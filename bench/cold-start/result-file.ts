/**
 * The results of a cold-start benchmark, in a file that grows by one line of JSON with every start.
 * An interrupted benchmark keeps its results, and another benchmark may add to them.
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

  /** Opens the file in `folder`, which is created if it is missing. */
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

  /**
   * Returns everything that was appended. If conditions or a floor were appended several times, the
   * last one counts. Throws if there are no conditions.
   */
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

/** Returns the last thing of each key, in the order in which the keys first occur. */
function uniqueBy<T>(things: readonly T[], keyOf: (thing: T) => string): T[] {
  return [...new Map(things.map((thing) => [keyOf(thing), thing])).values()]
}
