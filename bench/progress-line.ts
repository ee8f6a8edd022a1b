/** Says on a terminal what is being done; quiet where nobody looks. */
export function progressLine(line: string): void {
  if (process.stderr.isTTY) console.error(line)
}
