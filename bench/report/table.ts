/** A table of the report, as cells of text. */
export interface Table {
  readonly title: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
  /** Rows that summarize the other rows. */
  readonly foot: readonly (readonly string[])[]
}
