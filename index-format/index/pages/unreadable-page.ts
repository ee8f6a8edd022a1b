/**
 * Thrown for a page with something that our writer never writes there: large numbers, overflow
 * pages, damage. `Index` catches it and asks SQLite. `startupPagesOf` turns it into
 * `invalid-index`.
 */
export class UnreadablePage extends Error {
  override readonly name = 'UnreadablePage'
}
