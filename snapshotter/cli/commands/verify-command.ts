/** `thinctl verify`: proves that a thin image equals its original. Status 1 where it does not. */
import type { Command } from 'commander'
import type { ImageAccess } from '../../inspect/image-access.js'
import { formatBytes } from '../../inspect/text-table.js'
import { parsePlatform } from '../../images/registry/index.js'
import { textFromDifference } from '../../inspect/verify/difference.js'
import { verifyImage, type VerifyProgress } from '../../inspect/verify/verify-image.js'
import { VerifyReport, type VerifyReportJson } from '../../inspect/verify/verify-report.js'
import type { CommandContext } from '../command-context.js'
import { EXIT_FINDINGS } from '../exit-status.js'
import { writeOut } from '../standard-output.js'
import { StatusLine } from '../status-line.js'
import { type AccessOptions, addAccessOptions, storeUrls, withAccess } from '../tree-options.js'

interface VerifyCommandOptions extends AccessOptions {
  readonly platform?: string
  readonly store?: string[]
  readonly layers: boolean
  readonly json?: true
}

const DETAILS = `
Exit status: 0 equal; 1 different; 2 an image cannot be used; 3 a registry or a store cannot be
reached; 4 the system failed; 130 interrupted.`

export function addVerifyCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('verify')
    .description('prove that a thin image equals its original, every attribute and byte')
    .argument('<thin>', 'thin image')
    .argument('<original>', 'the image it was made of')
    .option('--platform <os/arch>', 'compare this one; default: all of the original')
    .option('--store <dir|url>', 'read packs from there; may be given more than once', storeUrls)
    .option('--no-layers', 'compare the merged tree only')
    .option('--json', 'the report as one JSON object')
    .addHelpText('after', DETAILS)
  addAccessOptions(command).action(
    (thin: string, original: string, options: VerifyCommandOptions) =>
      withAccess(options, context, async (access) => {
        const report = await verify({ thin, original }, options, access, context)
        if (!report.equal) process.exitCode = EXIT_FINDINGS
      }),
  )
}

async function verify(
  images: { readonly thin: string; readonly original: string },
  options: VerifyCommandOptions,
  access: ImageAccess,
  context: CommandContext,
): Promise<VerifyReportJson> {
  const { signal } = context
  const report = new VerifyReport()
  const status = StatusLine.open(process.stderr)
  const onProgress = (progress: VerifyProgress): void => {
    report.progress(progress)
    status.show(() => statusOf(progress))
  }
  const differences = verifyImage(
    {
      thin: await access.image(images.thin, signal),
      original: await access.image(images.original, signal),
      platform: options.platform === undefined ? undefined : parsePlatform(options.platform),
      layers: options.layers,
      stores: options.store,
      onProgress,
    },
    { access },
    signal,
  )
  const lines = async function* (): AsyncGenerator<string> {
    for await (const difference of differences) {
      report.add(difference)
      if (options.json === true) continue
      status.clear()
      yield `${textFromDifference(difference)}\n`
    }
    status.clear()
    const json = report.json(images)
    yield options.json === true ? `${JSON.stringify(json, null, 2)}\n` : `${summaryOf(json)}\n`
  }
  try {
    await writeOut(lines(), signal)
  } finally {
    status.clear()
  }
  return report.json(images)
}

function statusOf(progress: VerifyProgress): string {
  const { platform } = progress
  switch (progress.stage) {
    case 'unpack':
      return `${platform}: unpacking the original, ${formatBytes(progress.unpackedBytes)}`
    case 'compare': {
      const { contentBytes, contentTotalBytes, names } = progress
      if (contentTotalBytes === 0) return `${platform}: comparing names, ${names}`
      const [done, total] = [formatBytes(contentBytes), formatBytes(contentTotalBytes)]
      return `${platform}: comparing content, ${done} of ${total}`
    }
  }
}

function summaryOf({ count, counts, equal, platforms }: VerifyReportJson): string {
  const compared = platforms.map(
    ({ contentBytes, names, platform, trees }) =>
      `${platform}: ${trees} trees, ${names} names, ${formatBytes(contentBytes)}`,
  )
  if (equal) return ['equal', ...compared].join('\n')
  const kinds = Object.entries(counts).map(([kind, number]) => `${number} ${kind}`)
  return [`${count} difference${count === 1 ? '' : 's'}: ${kinds.join(', ')}`, ...compared].join(
    '\n',
  )
}
