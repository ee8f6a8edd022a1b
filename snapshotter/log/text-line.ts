/**
 * Turns a line of pino's JSON into a line for people: time, level, message, fields, then the stack.
 */

/** pino's numbers of levels. */
const LEVELS: ReadonlyMap<unknown, string> = new Map([
  [10, 'TRACE'],
  [20, 'DEBUG'],
  [30, 'INFO'],
  [40, 'WARN'],
  [50, 'ERROR'],
  [60, 'FATAL'],
])

/**
 * One line with its newline, or several lines if an error has a stack. Text that is not a JSON
 * object is returned unchanged.
 */
export function textLine(json: string): string {
  const record = recordFrom(json)
  if (record === undefined) return json
  const { level, time, msg, err, ...fields } = record
  const words = [plain(time), (LEVELS.get(level) ?? plain(level)).padEnd(5), plain(msg)]
  for (const [name, value] of Object.entries(fields)) words.push(`${name}=${shown(value)}`)
  const stack = isRecord(err) ? (err['stack'] ?? err['message']) : err
  const indented = stack === undefined ? '' : `\n    ${plain(stack).replaceAll('\n', '\n    ')}`
  return `${words.join(' ')}${indented}\n`
}

function recordFrom(json: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(json)
    return isRecord(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

function plain(value: unknown): string {
  return typeof value === 'string' ? value : shown(value)
}

/** Quotes a text that could be taken for several words. */
function shown(value: unknown): string {
  if (typeof value === 'string' && /^[^\s"=]+$/.test(value)) return value
  return value === undefined ? '' : JSON.stringify(value)
}
