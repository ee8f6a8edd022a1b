/** The `Content-Range` of a 206 answer. RFC 9110, 14.4; only the form for one range of bytes. */

const CONTENT_RANGE = /^bytes (\d{1,16})-(\d{1,16})\/(?:\d{1,16}|\*)$/

/** A range that was asked for; without an end it goes to the end of the content. */
export interface AskedRange {
  readonly first: number
  readonly last: number | undefined
}

/** As the request says it: `bytes=0-99`, `bytes=100-`. */
export function rangeHeader({ first, last }: AskedRange): string {
  return `bytes=${first}-${last ?? ''}`
}

/** Whether the answer's range is the one asked for: begins there, and ends there if an end was asked for. */
export function isContentRange(header: string, asked: AskedRange): boolean {
  const match = CONTENT_RANGE.exec(header)
  if (match === null || Number(match[1]) !== asked.first) return false
  return asked.last === undefined || Number(match[2]) === asked.last
}
