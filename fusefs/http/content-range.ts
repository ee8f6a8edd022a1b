/**
 * The headers of range requests: `Range`, and the `Content-Range` of an answer 206 (RFC 9110,
 * 14.4). Only the form for a single range of bytes is understood.
 */

const CONTENT_RANGE = /^bytes (\d{1,16})-(\d{1,16})\/(?:\d{1,16}|\*)$/

/** The range that a request asks for. */
export interface AskedRange {
  /** The first byte, from 0. */
  readonly first: number
  /** The last byte, inclusive. `undefined`: the end of the content. */
  readonly last: number | undefined
}

/** The value of the header `Range`, for example `bytes=0-99` or `bytes=100-`. */
export function rangeHeader({ first, last }: AskedRange): string {
  return `bytes=${first}-${last ?? ''}`
}

/**
 * Whether a `Content-Range` has the first byte of the asked range and, if that range has an end,
 * also its last byte.
 */
export function isContentRange(header: string, asked: AskedRange): boolean {
  const match = CONTENT_RANGE.exec(header)
  if (match === null || Number(match[1]) !== asked.first) return false
  return asked.last === undefined || Number(match[2]) === asked.last
}
