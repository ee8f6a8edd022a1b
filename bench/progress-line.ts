/** Prints progress if standard error is a terminal. */
export function progressLine(line: string): void {
  if (process.stderr.isTTY) console.error(line)
}
