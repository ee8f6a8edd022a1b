/**
 * The whole way of one image on this machine: built from Debian packages, pushed, converted, pulled
 * and run, ordinary and thin side by side. Prints a table and leaves nothing behind but the image
 * in the user's cache directory.
 */
import { join } from 'node:path'
import { samplesOf } from './cold-start.js'
import { type ContenderStarts, compareColdStarts } from './contenders.js'
import { machineLine } from './machine-line.js'
import { textOf } from './report.js'
import { medianOf } from './statistics.js'
import { withSandbox } from './with-sandbox.js'
import { DEBIAN_IMAGES, debianImage } from '../test/sandbox/images/debian-image.js'
import { ImageCache } from '../test/sandbox/images/image-cache.js'
import { thinctl } from '../test/sandbox/thin-daemon.js'

const RUNS = 3
// What HelloBench has python do, with a word about who says it.
const PROGRAM = 'import sys; print("hello from python", sys.version.split()[0])'
const COMMAND = ['python3', '-c', PROGRAM]

function step(text: string): void {
  console.error(`demo: ${text}`)
}

step('building an image with python3 from Debian packages (kept for the next time)')
const image = await debianImage(await ImageCache.open(), DEBIAN_IMAGES.python)

await withSandbox(async (sandbox) => {
  step(`starting a private registry and containerd in ${sandbox.directory}`)
  const ordinary = await sandbox.push(image, 'python:1')
  const thin = sandbox.reference('python:1-thin')
  step(`thinctl convert ${ordinary} ${thin}`)
  const database = join(sandbox.directory, 'publish.db')
  const converted = await thinctl(['convert', '--database', database, ordinary, thin])
  process.stderr.write(converted.stdout)
  step('ctr images pull, ctr containers create, ctr tasks start, on fresh machines in turn')
  const starts = await compareColdStarts(
    sandbox,
    { ordinary, thin, command: COMMAND, runs: RUNS },
    step,
  )
  console.log(await summary(starts))
})

async function summary({ overlayfs, thin }: ContenderStarts): Promise<string> {
  const total = (list: ContenderStarts['thin']): number => medianOf(list.map((one) => one.totalMs))
  const bytes = (list: ContenderStarts['thin']): number =>
    medianOf(list.map((one) => one.receivedBytes))
  const table = textOf({
    name: 'Cold start: pull, create, run',
    method: `python3 -c '${PROGRAM}'; medians of ${RUNS} (lowest–highest)\n${await machineLine()}`,
    rows: [
      { name: 'ordinary image, overlayfs', samples: samplesOf(overlayfs) },
      { name: 'thin image, thin', samples: samplesOf(thin) },
    ],
    claims: [],
  })
  return [
    table,
    `Both printed ${thin[0]?.output.trim() ?? ''}`,
    `The thin image was ready ${(total(overlayfs) / total(thin)).toFixed(1)} times sooner ` +
      `and took ${((100 * bytes(thin)) / bytes(overlayfs)).toFixed(0)} % of the bytes.`,
  ].join('\n')
}
