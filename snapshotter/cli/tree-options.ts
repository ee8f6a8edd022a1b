/** The options of commands that read one tree, and functions that open the tree. */
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Command, InvalidArgumentError } from 'commander'
import { ImageAccess } from '../inspect/image-access.js'
import { openTree, type OpenedTree } from '../inspect/opened-tree.js'
import type { CommandContext } from './command-context.js'
import { openRegistryConnection } from './registry-access.js'

export interface AccessOptions {
  readonly plainHttp?: true
}

export interface TreeOptions extends AccessOptions {
  readonly store?: string[]
  readonly platform?: string
  readonly layer?: number
}

/** Adds the options that `TreeOptions` describes. */
export function addTreeOptions(command: Command): Command {
  return addAccessOptions(command)
    .option('--store <dir|url>', 'read packs from there; may be given more than once', storeUrls)
    .option('--platform <os/arch>', 'which of the image; default: that of this machine')
    .option(
      '--layer <number>',
      'one layer, from 0 at the bottom; default: all, merged',
      wholeNumber,
    )
}

/** Adds the options that `AccessOptions` describes. */
export function addAccessOptions(command: Command): Command {
  return command.option('--plain-http', 'speak HTTP without TLS to every registry')
}

/** Opens access to images and stores for `use`, and closes it when `use` has ended. */
export async function withAccess<Result>(
  options: AccessOptions,
  context: CommandContext,
  use: (access: ImageAccess) => Promise<Result>,
): Promise<Result> {
  const connection = openRegistryConnection({ plainHttp: options.plainHttp === true })
  const access = await ImageAccess.open({}, { log: context.log, connection })
  try {
    return await use(access)
  } finally {
    await access.close()
  }
}

/** Opens the tree of `what` for `use`, and closes it when `use` has ended. */
export function withTree<Result>(
  what: string,
  options: TreeOptions,
  context: CommandContext,
  use: (tree: OpenedTree) => Promise<Result>,
): Promise<Result> {
  const { layer, platform, store: stores } = options
  return withAccess(options, context, async (access) => {
    const tree = await openTree({ what, layer, platform, stores }, { access }, context.signal)
    try {
      return await use(tree)
    } finally {
      tree.close()
    }
  })
}

/**
 * Parses a whole number from 0. Throws `InvalidArgumentError`; Commander adds the name of the
 * option.
 */
export function wholeNumber(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('expected a whole number from 0.')
}

/** Collects the values of `--store`, which may be given more than once. A path becomes a URL. */
export function storeUrls(text: string, before: string[] | undefined): string[] {
  const url = /^[a-z+]+:\/\//.test(text) ? text : pathToFileURL(resolve(text)).href
  return [...(before ?? []), url]
}
