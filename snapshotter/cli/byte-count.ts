/** A number of bytes as text for people, such as `1.5 MiB`. */
export function mebibytes(sizeBytes: number): string {
  return `${(sizeBytes / 1024 ** 2).toFixed(1)} MiB`
}
