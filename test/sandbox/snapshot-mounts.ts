/** Mounts what a snapshotter answers, with mount(8) and umount(8), the way containerd does. */
import { mkdtemp, rm } from 'node:fs/promises'
import { join, posix } from 'node:path'
import type { Mount } from '../../proto/index.js'
import { runProgram } from './program.js'

/**
 * If the options are longer than this, relative lowerdirs are used. containerd does so because
 * mount(2) takes at most one page of options.
 */
const LONG_OPTIONS_BYTES = 3072

/** Mounts at `target`. The caller unmounts. */
export async function mountAt(mounts: readonly Mount[], target: string): Promise<void> {
  for (const { type, source, options } of mounts) {
    if (type === 'bind') {
      await runProgram(['mount', '--rbind', source, target])
      if (options.includes('ro')) await runProgram(['mount', '-o', 'remount,bind,ro', target])
    } else {
      const { cwd, short } = shortened(options)
      const command = ['mount', '-i', '-t', type, source, target, '-o', short.join(',')]
      await runProgram(command, { cwd })
    }
  }
}

async function unmount(target: string): Promise<void> {
  await runProgram(['umount', target])
}

/** Mounts at a temporary directory below `parent`, runs `work` there, and unmounts. */
export async function withMounts<T>(
  mounts: readonly Mount[],
  parent: string,
  work: (directory: string) => Promise<T>,
): Promise<T> {
  const target = await mkdtemp(join(parent, 'mnt-'))
  await mountAt(mounts, target)
  try {
    return await work(target)
  } finally {
    await unmount(target)
    await rm(target, { recursive: true })
  }
}

/**
 * If the options are too long, makes the lower directories relative to their longest common
 * ancestor `cwd`, the way containerd passes them to the kernel.
 */
function shortened(options: readonly string[]): { cwd: string; short: readonly string[] } {
  const prefix = 'lowerdir='
  const lowerdir = options.find((option) => option.startsWith(prefix))
  if (lowerdir === undefined || options.join(',').length < LONG_OPTIONS_BYTES) {
    return { cwd: '/', short: options }
  }
  const paths = lowerdir.slice(prefix.length).split(':')
  let cwd = posix.dirname(paths[0] ?? '/')
  while (!paths.every((path) => path.startsWith(`${cwd}/`))) cwd = posix.dirname(cwd)
  const relative = paths.map((path) => posix.relative(cwd, path))
  const others = options.filter((option) => option !== lowerdir)
  return { cwd, short: [...others, `${prefix}${relative.join(':')}`] }
}
