/** How a network between a machine and the registry slows down what passes. */
export interface NetworkShape {
  /** Time for a byte there and the answer back, the same in both directions; 0: as fast as it goes. */
  readonly roundTripMs: number
  /** What passes in one direction, all connections together; undefined: unlimited. */
  readonly bitsPerSecond: number | undefined
}

/** A network that does nothing. */
export const UNSHAPED: NetworkShape = { roundTripMs: 0, bitsPerSecond: undefined }
