/**
 * The `code` that Node.js and undici give an error: the name of a failed system call's errno, `ENOENT`,
 * or one of their own, `CERT_HAS_EXPIRED`. Undefined for anything else.
 */
export function systemErrorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
