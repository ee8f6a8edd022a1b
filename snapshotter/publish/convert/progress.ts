/** The interface through which a conversion reports its progress. */

export interface ProgressTask {
  /** Reports that `amount` more bytes are done. */
  advance(amount: number): void
  /** Ends the task. Idempotent. */
  end(): void
}

export interface ConvertProgress {
  /** Begins a task of `total` bytes. Several tasks may be under way. */
  begin(name: string, total: number): ProgressTask
}

/** Ignores all progress. */
export const noProgress: ConvertProgress = {
  begin: () => ({ advance: () => undefined, end: () => undefined }),
}
