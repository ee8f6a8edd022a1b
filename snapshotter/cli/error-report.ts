/** Errors as text for people: the message, then the messages of the causes, each once. */

const MAX_CAUSES = 5

/** One line for the error, and one for each cause whose message is not contained in a line yet. */
export function errorReport(error: unknown): string {
  const lines: string[] = []
  let at: unknown = error
  for (let depth = 0; depth <= MAX_CAUSES && at instanceof Error; depth++) {
    const { message } = at
    if (message !== '' && !lines.some((line) => line.includes(message))) {
      lines.push(depth === 0 ? message : `  because: ${message}`)
    }
    at = at.cause
  }
  return lines.length === 0 ? String(error) : lines.join('\n')
}
