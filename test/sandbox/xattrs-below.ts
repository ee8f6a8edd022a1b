/** Every extended attribute in a directory tree, as getfattr(1) sees it: Node has no call for them. */
import { tryProgram } from './program.js'

/**
 * Maps each path below `root` that has attributes ('' is the root itself; bytes as latin1) to its
 * attributes as `name=0xhex`, sorted and joined with blanks. All namespaces are included.
 */
export async function xattrsBelow(root: string): Promise<Map<string, string>> {
  // -h: of links themselves; -P: without following any; -m -: whatever the namespace.
  const { stdout, stderr, exitCode } = await tryProgram(
    ['getfattr', '-R', '-P', '-h', '-d', '-m', '-', '-e', 'hex', '.'],
    { cwd: root, timeoutMs: 300_000, encoding: 'latin1' },
  )
  if (exitCode !== 0) throw new Error(`getfattr in ${root}: exit status ${exitCode}\n${stderr}`)
  const attributes = new Map<string, string>()
  for (const block of stdout.split('\n\n')) {
    const [head = '', ...lines] = block.split('\n').filter((line) => line !== '')
    if (!head.startsWith('# file: ')) continue
    const path = unescaped(head.slice('# file: '.length)).replace(/^\.\/?/, '')
    attributes.set(path, lines.sort().join(' '))
  }
  return attributes
}

/** getfattr writes bytes that are not printable, and backslashes, as three octal digits. */
function unescaped(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  )
}
