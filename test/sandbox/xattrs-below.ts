/**
 * Reads all extended attributes in a directory tree with getfattr(1), because Node has no call for
 * it.
 */
import { runProgram, tryProgram } from './program.js'

/**
 * Returns the attributes of each path below `root` that has any, as `name=0xhex`, sorted and joined
 * with blanks. '' is the path of `root` itself; paths are bytes as latin1. All namespaces are
 * included.
 */
export async function xattrsBelow(root: string): Promise<Map<string, string>> {
  // -h: attributes of symbolic links themselves. -P: follow no link. -m -: all namespaces.
  const command = ['getfattr', '-R', '-P', '-h', '-d', '-m', '-', '-e', 'hex', '.']
  const { stdout, stderr, exitCode } = await tryProgram(command, {
    cwd: root,
    timeoutMs: 300_000,
    encoding: 'latin1',
    env: { LC_ALL: 'C' },
  })
  // The filesystem of a tree without attributes may not support attributes at all.
  const failures = stderr
    .split('\n')
    .filter((line) => line !== '' && !line.endsWith(': Operation not supported'))
  if (failures.length > 0 || (exitCode !== 0 && stderr === '')) {
    throw new Error(`getfattr in ${root}: exit status ${exitCode}\n${failures.join('\n')}`)
  }
  return attributesFrom(stdout)
}

/** As `xattrsBelow`, but only for the given paths below `root`. */
export async function xattrsAt(
  root: string,
  paths: readonly Buffer[],
): Promise<Map<string, string>> {
  const { stdout } = await runProgram(
    ['xargs', '-0', 'getfattr', '-h', '-d', '-m', '-', '-e', 'hex', '--'],
    {
      cwd: root,
      timeoutMs: 300_000,
      encoding: 'latin1',
      input: Buffer.concat(paths.flatMap((path) => [path, Buffer.of(0)])),
    },
  )
  return attributesFrom(stdout)
}

function attributesFrom(listing: string): Map<string, string> {
  const attributes = new Map<string, string>()
  for (const block of listing.split('\n\n')) {
    const [head = '', ...lines] = block.split('\n').filter((line) => line !== '')
    if (!head.startsWith('# file: ')) continue
    const path = unescaped(head.slice('# file: '.length)).replace(/^\.\/?/, '')
    attributes.set(path, lines.sort().join(' '))
  }
  return attributes
}

/** getfattr writes backslashes and bytes that are not printable as three octal digits. */
function unescaped(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  )
}
