/** `thinctl mount`: mounts a tree as a directory without containerd, until it is unmounted. */
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { type Command, Option } from 'commander'
import {
  type BlobSource,
  type ContentReader,
  ContentStore,
  FusefsError,
  mountTree,
  type TransportName,
} from '../../../fusefs/index.js'
import { SnapshotterError } from '../../errors.js'
import type { ImageAccess } from '../../inspect/image-access.js'
import { openTree } from '../../inspect/opened-tree.js'
import type { CommandContext } from '../command-context.js'
import { EXIT_OK } from '../exit-status.js'
import { addTreeOptions, type TreeOptions, withAccess } from '../tree-options.js'

interface MountCommandOptions extends TreeOptions {
  readonly cacheDir?: string
  readonly transport?: TransportName
  readonly trace?: true
}

/** Time between two looks at the list of mounts. */
const POLL_INTERVAL_MS = 1000

export function addMountCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('mount')
    .description('show a tree as a read-only directory until Ctrl-C or umount')
    .argument('<image>', 'thin image, unpacked thin layer, or path of an index file')
    .argument('<mountpoint>', 'an existing directory')
    .option('--cache-dir <dir>', 'keep what was read there; default: a temporary folder')
    .option('--trace', 'log the FUSE protocol (with --verbose; kernel transport only)')
    .addOption(
      new Option('--transport <name>', 'default: kernel for root, native for others').choices([
        'kernel',
        'native',
      ]),
    )
  addTreeOptions(command).action(
    async (what: string, mountpoint: string, options: MountCommandOptions) => {
      const place = { what, mountpoint }
      const isHeld = await withAccess(options, context, (access) =>
        mount(place, options, access, context),
      )
      if (isHeld) process.exit(EXIT_OK)
    },
  )
}

/**
 * Mounts the tree until `signal` or an unmount ends it. Returns true when another process has
 * unmounted it: libfuse then keeps this process alive, and the caller must exit.
 */
async function mount(
  { mountpoint, what }: { readonly what: string; readonly mountpoint: string },
  options: MountCommandOptions,
  access: ImageAccess,
  { log, signal }: CommandContext,
): Promise<boolean> {
  let isHeld = false
  const { layer, platform, store: stores, trace = false } = options
  await refuseUnusable(mountpoint)
  const tree = await openTree({ what, layer, platform, stores }, { access }, signal)
  try {
    if (tree.store === undefined) {
      throw new SnapshotterError(
        'invalid-argument',
        `${what}: say with --store where its packs are`,
      )
    }
    const cacheDir = options.cacheDir ?? join(access.tempFolder, 'cache')
    const store = await ContentStore.open({ cacheDir }, { log })
    try {
      const mounted = await mountTree(
        {
          indexPath: tree.index.path,
          indexDigest: tree.digest,
          stores: tree.storeUrls,
          mountpoint,
          transport: options.transport ?? (process.geteuid?.() === 0 ? 'kernel' : 'native'),
          fsName: fsNameOf(tree.name),
          trace,
        },
        { content: contentOf(store, tree.store), log },
      )
      const watching = new AbortController()
      try {
        process.stderr.write(`${tree.name} is mounted at ${mounted.mountpoint}; Ctrl-C ends it\n`)
        const gone = unmounted(mounted.mountpoint, watching.signal)
        await Promise.race([mounted.ended, aborted(signal), gone])
      } finally {
        watching.abort()
        await mounted.unmount().catch(async (error: unknown) => {
          // Another process has unmounted it meanwhile. That is no error.
          if (await isMounted(mounted.mountpoint)) throw error
          isHeld = true
        })
      }
    } finally {
      await store.close()
    }
  } finally {
    tree.close()
  }
  return isHeld
}

async function refuseUnusable(mountpoint: string): Promise<void> {
  const found = await stat(mountpoint).catch((cause: unknown) => {
    throw new SnapshotterError('not-found', `${mountpoint}: no such directory; make it first`, {
      cause,
    })
  })
  if (found.isDirectory()) return
  throw new SnapshotterError('invalid-argument', `${mountpoint}: not a directory`)
}

function contentOf(store: ContentStore, source: BlobSource): ContentReader {
  return {
    shared: (pack) => {
      try {
        return store.mirror(pack)
      } catch (error) {
        // The store has logged this. Without a mirror, every read of the pack is sent to `read`.
        if (error instanceof FusefsError && error.code === 'cache-io') return undefined
        throw error
      }
    },
    read: (_tree, pack, rawOffset, target, signal) =>
      store.read({ pack, rawOffset, target, source }, signal),
  }
}

/**
 * The name of the mount's source. It holds no comma, because a comma would end the mount option.
 */
function fsNameOf(name: string): string {
  return `thin:${name}`.replaceAll(/[^A-Za-z0-9._:/@+-]/g, '_').slice(0, 200)
}

/**
 * Resolves when the mount is gone, or when `signal` aborts. Watches the kernel's list of mounts,
 * because libfuse does not report an unmount by another process.
 */
async function unmounted(mountpoint: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && (await isMounted(mountpoint))) {
    await setTimeout(POLL_INTERVAL_MS, undefined, { signal }).catch(() => undefined)
  }
}

/**
 * Whether the kernel's list of mounts has `mountpoint`: the fifth field of /proc/self/mountinfo,
 * with escapes (proc(5)).
 */
async function isMounted(mountpoint: string): Promise<boolean> {
  const escaped = mountpoint.replaceAll(/[ \t\n\\]/g, (character) => {
    return `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`
  })
  const mounts = await readFile('/proc/self/mountinfo', 'utf8')
  return mounts.split('\n').some((line) => line.split(' ')[4] === escaped)
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => {
      resolve()
    })
  })
}
