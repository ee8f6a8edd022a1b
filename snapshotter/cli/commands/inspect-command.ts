/** `thinctl inspect`: shows the parts of a thin image. */
import { stat } from 'node:fs/promises'
import type { Command } from 'commander'
import { Index } from '../../../index-format/index.js'
import { digestOfFile } from '../../inspect/file-digest.js'
import type { ImageAccess } from '../../inspect/image-access.js'
import { reportIndex, reportRecipe, reportThinImage } from '../../inspect/image-report.js'
import { isIndexFile, recipeFolderOf } from '../../inspect/opened-tree.js'
import { readPlatformImages } from '../../inspect/platform-images.js'
import {
  linesFromIndex,
  linesFromRecipeFolder,
  linesFromThinImage,
} from '../../inspect/report-text.js'
import { ThinImage } from '../../inspect/thin-image.js'
import { parsePlatform } from '../../images/registry/index.js'
import type { CommandContext } from '../command-context.js'
import { writeOut } from '../standard-output.js'
import { type AccessOptions, addAccessOptions, storeUrls, withAccess } from '../tree-options.js'

interface InspectOptions extends AccessOptions {
  readonly platform?: string
  readonly store?: string[]
  readonly json?: true
}

/** The same facts, for programs and for people. */
interface Inspected {
  readonly json: unknown
  readonly lines: readonly string[]
}

export function addInspectCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('inspect')
    .description('recipe, trees, sizes and shared content of a thin image or an index file')
    .argument('<image>', 'thin image, unpacked thin layer, or path of an index file')
    .option('--platform <os/arch>', 'which of the image; default: all')
    .option('--store <dir|url>', 'read indexes from there; may be given more than once', storeUrls)
    .option('--json', 'everything, for scripts')
  addAccessOptions(command).action((what: string, options: InspectOptions) =>
    withAccess(options, context, async (access) => {
      const { json, lines } = await inspect(what, options, access, context.signal)
      const text = options.json === true ? JSON.stringify(json, null, 2) : lines.join('\n')
      await writeOut([`${text}\n`], context.signal)
    }),
  )
}

async function inspect(
  what: string,
  options: InspectOptions,
  access: ImageAccess,
  signal: AbortSignal,
): Promise<Inspected> {
  if (await isIndexFile(what)) return inspectIndex(what, signal)
  const folder = await recipeFolderOf(what)
  if (folder !== undefined) return inspectFolder(folder, options, access, signal)
  return inspectImage(what, options, access, signal)
}

async function inspectIndex(path: string, signal: AbortSignal): Promise<Inspected> {
  const digest = await digestOfFile(path, signal)
  const { size: sizeBytes } = await stat(path)
  const index = Index.open(path)
  try {
    const report = reportIndex(index, { name: path, digest, sizeBytes })
    return { json: report, lines: linesFromIndex(report) }
  } finally {
    index.close()
  }
}

async function inspectFolder(
  path: string,
  options: InspectOptions,
  access: ImageAccess,
  signal: AbortSignal,
): Promise<Inspected> {
  const thin = await ThinImage.openFolder({ path, stores: options.store }, { access })
  try {
    const report = await reportRecipe(thin, signal)
    return { json: { name: path, ...report }, lines: linesFromRecipeFolder(report) }
  } finally {
    thin.close()
  }
}

async function inspectImage(
  what: string,
  options: InspectOptions,
  access: ImageAccess,
  signal: AbortSignal,
): Promise<Inspected> {
  const wanted = options.platform === undefined ? undefined : parsePlatform(options.platform)
  const source = await access.image(what, signal)
  const { images } = await readPlatformImages(source, wanted, signal)
  const reports = []
  for (const image of images) {
    reports.push(
      await reportThinImage({ source, image, stores: options.store }, { access }, signal),
    )
  }
  const lines = reports.flatMap((report) => ['', ...linesFromThinImage(report)])
  return { json: { name: source.name, images: reports }, lines: [source.name, ...lines] }
}
