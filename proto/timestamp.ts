/**
 * `google.protobuf.Timestamp`, to and from nanoseconds since 1970. A nanosecond clock passed 2^53
 * in 1970, so that such times are `bigint` wherever they are one number.
 */

/** As decoded: `seconds` is a decimal string. When encoding, a number does as well. */
export interface Timestamp {
  /** Since 1970-01-01T00:00:00Z; before it, negative. */
  readonly seconds: string | number
  /** 0 to 999,999,999, counting forward also before 1970. */
  readonly nanos: number
}

const NS_PER_SECOND = 1_000_000_000n

/** The message for a time in nanoseconds since 1970. */
export function timestampFromNs(timeNs: bigint): Timestamp {
  const nanos = ((timeNs % NS_PER_SECOND) + NS_PER_SECOND) % NS_PER_SECOND
  return { seconds: ((timeNs - nanos) / NS_PER_SECOND).toString(), nanos: Number(nanos) }
}

/** The nanoseconds since 1970 of a message; an absent one is 1970 itself, as in proto3. */
export function nsFromTimestamp(timestamp: Timestamp | null): bigint {
  if (timestamp === null) return 0n
  return BigInt(timestamp.seconds) * NS_PER_SECOND + BigInt(timestamp.nanos)
}
