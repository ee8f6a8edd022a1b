/** The `Content-Range` of a 206 answer. RFC 9110, 14.4; only the form for one range of bytes. */

const CONTENT_RANGE = /^bytes (\d{1,16})-(\d{1,16})\/(?:\d{1,16}|\*)$/

/** Whether the answer's range is exactly the one asked for. */
export function isContentRange(header: string, offset: number, length: number): boolean {
  const match = CONTENT_RANGE.exec(header)
  return match !== null && Number(match[1]) === offset && Number(match[2]) === offset + length - 1
}
