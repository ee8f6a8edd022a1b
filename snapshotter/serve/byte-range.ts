/** Parses the `Range` header (RFC 9110, 14.2). Only one run of bytes is supported. */

export type ByteRange =
  | { readonly kind: 'whole' }
  /** `end` is the byte after the last. */
  | { readonly kind: 'part'; readonly start: number; readonly end: number }
  | { readonly kind: 'unsatisfiable' }

const WHOLE: ByteRange = { kind: 'whole' }

/**
 * The bytes to send of a body of `sizeBytes`. Several ranges and invalid headers are answered with
 * the whole body.
 */
export function byteRangeOf(header: string | undefined, sizeBytes: number): ByteRange {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '')
  const [, first = '', last = ''] = match ?? []
  if (first === '' && last === '') return WHOLE
  if (first === '') {
    const length = Math.min(Number(last), sizeBytes)
    return part(sizeBytes - length, sizeBytes)
  }
  const start = Number(first)
  if (last !== '' && Number(last) < start) return WHOLE
  const end = last === '' ? sizeBytes : Math.min(Number(last) + 1, sizeBytes)
  return part(start, end)
}

function part(start: number, end: number): ByteRange {
  return start < end ? { kind: 'part', start, end } : { kind: 'unsatisfiable' }
}
