/**
 * The `code` of an error from Node.js or undici: the errno of a failed system call, such as
 * `ENOENT`, or a code of their own, such as `CERT_HAS_EXPIRED`. `undefined` for anything else.
 */
export function systemErrorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
