/** How a network between a machine and the registry slows down traffic. */
export interface NetworkShape {
  /**
   * Time for a byte to the other end and the answer back, half of it in each direction. 0: no
   * delay.
   */
  readonly roundTripMs: number
  /** Bandwidth of one direction, shared by all connections. undefined: unlimited. */
  readonly bitsPerSecond: number | undefined
}

/** A network without delay and without a limit of bandwidth. */
export const UNSHAPED: NetworkShape = { roundTripMs: 0, bitsPerSecond: undefined }
