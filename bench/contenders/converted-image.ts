import { join } from 'node:path'
import type { Sandbox } from '../../test/sandbox/sandbox.js'
import { thinctl } from '../../test/sandbox/thin-daemon.js'

/**
 * Converts an ordinary image to a thin image with the same name and another tag. Returns its
 * reference.
 */
export async function convertedImage(
  sandbox: Sandbox,
  ordinary: string,
  tag: string,
  flags: readonly string[] = [],
): Promise<string> {
  const thin = `${ordinary.slice(0, ordinary.lastIndexOf(':'))}:${tag}`
  const database = join(sandbox.directory, 'publish.db')
  await thinctl(['convert', ...flags, '--database', database, ordinary, thin], {
    timeoutMs: 1_800_000,
  })
  return thin
}
