/** Bytes as people read them. */
export function mebibytes(sizeBytes: number): string {
  return `${(sizeBytes / 1024 ** 2).toFixed(1)} MiB`
}
