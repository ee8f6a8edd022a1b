/** The seam to whoever shows how far a conversion is. */

export interface ProgressTask {
  /** More bytes, or whatever the task counts, are done. */
  advance(amount: number): void
  /** Idempotent. */
  end(): void
}

export interface ConvertProgress {
  /** `total` is in bytes. Several tasks may be under way. */
  begin(name: string, total: number): ProgressTask
}

/** Shows nothing. */
export const noProgress: ConvertProgress = {
  begin: () => ({ advance: () => undefined, end: () => undefined }),
}
