/** How long each stage of a conversion took. Stages overlap, so their sum may exceed the whole. */

export type ConvertStage =
  'resolve' | 'unpack' | 'pack' | 'index' | 'merge' | 'startup' | 'upload' | 'publish'

export class StageClock {
  readonly #ms = new Map<ConvertStage, number>()

  /** Runs `work` and adds the time it took to `stage`. */
  async time<Result>(stage: ConvertStage, work: () => Promise<Result> | Result): Promise<Result> {
    const started = performance.now()
    try {
      return await work()
    } finally {
      this.#ms.set(stage, (this.#ms.get(stage) ?? 0) + performance.now() - started)
    }
  }

  /** Whole milliseconds for each stage that was entered, in the order of first entry. */
  stageMs(): Partial<Record<ConvertStage, number>> {
    return Object.fromEntries([...this.#ms].map(([stage, ms]) => [stage, Math.round(ms)]))
  }
}
