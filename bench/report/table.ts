/** A table of the report, as cells of text. */
export interface Table {
  readonly title: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
  /** What the rows have in common. */
  readonly foot: readonly (readonly string[])[]
}
