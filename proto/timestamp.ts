/**
 * Converts `google.protobuf.Timestamp` to and from nanoseconds since 1970. These passed 2^53 in
 * 1970 already, so that such times are `bigint`.
 */

/** Decoded, `seconds` is a decimal string. Encoding accepts a number, too. */
export interface Timestamp {
  /** Seconds since 1970-01-01T00:00:00Z; negative before that. */
  readonly seconds: string | number
  /** 0 to 999,999,999, counted forward from `seconds`, also before 1970. */
  readonly nanos: number
}

const NS_PER_SECOND = 1_000_000_000n

/** The timestamp of a time in nanoseconds since 1970. */
export function timestampFromNs(timeNs: bigint): Timestamp {
  const nanos = ((timeNs % NS_PER_SECOND) + NS_PER_SECOND) % NS_PER_SECOND
  return { seconds: ((timeNs - nanos) / NS_PER_SECOND).toString(), nanos: Number(nanos) }
}

/** The time of a timestamp in nanoseconds since 1970. An absent timestamp is 1970, as in proto3. */
export function nsFromTimestamp(timestamp: Timestamp | null): bigint {
  if (timestamp === null) return 0n
  return BigInt(timestamp.seconds) * NS_PER_SECOND + BigInt(timestamp.nanos)
}
