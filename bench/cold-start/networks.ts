/** The networks over which cold starts are measured, from loopback to a distant network. */
import type { Network } from './start-record.js'

export const NETWORKS: readonly Network[] = [
  { name: 'loopback', roundTripMs: 0, bitsPerSecond: undefined },
  { name: '1ms', roundTripMs: 1, bitsPerSecond: 1e9 },
  { name: '10ms', roundTripMs: 10, bitsPerSecond: 100e6 },
  { name: '50ms', roundTripMs: 50, bitsPerSecond: 25e6 },
]
