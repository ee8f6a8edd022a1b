/**
 * Something in a page is not as a writer of ours leaves it: large numbers, overflow pages, damage.
 * Never leaves `Index`, which then asks SQLite.
 */
export class UnreadablePage extends Error {
  override readonly name = 'UnreadablePage'
}
