/** `bench/run cold-start` and `bench/run report`. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { claimsOf } from './claims.js'
import { runColdStarts } from './cold-start-benchmark.js'
import { NETWORKS } from './networks.js'
import { ResultFile } from './result-file.js'
import { CONTENDERS } from '../contenders/contenders.js'
import type { Contender } from '../contenders/contender.js'
import { machineLine } from '../machine-line.js'
import { progressLine } from '../progress-line.js'
import { isMet, textOfClaim } from '../report.js'
import { markdownOf } from '../report/markdown.js'
import { writeReport } from '../report/write-report.js'
import { wholeNumberBetween } from '../../snapshotter/cli/option-values.js'
import { WORKLOADS } from '../workloads/workloads.js'

interface Options {
  readonly images?: readonly string[]
  readonly contenders?: readonly string[]
  readonly networks?: readonly string[]
  readonly runs: number
  readonly seed?: number
  readonly out?: string
}

interface Named {
  readonly name: string
}

export function addColdStartCommands(program: Command): void {
  program
    .command('cold-start')
    .description('pull, create and run until ready, on machines that have not seen the image')
    .argument('[words...]', 'images, contenders and networks; default all')
    .option('--images <names>', 'what is started', commaSeparated)
    .option('--contenders <names>', 'what starts it', commaSeparated)
    .option('--networks <names>', 'what lies between', commaSeparated)
    .option('--runs <n>', 'starts of each', wholeNumberBetween(1, 1000), 5)
    .option('--seed <n>', 'decides the order of the contenders', wholeNumberBetween(1, 0xffff_ffff))
    .option('--out <folder>', 'where every start and the report go; what is there is added to')
    .addHelpText('after', wordsOf())
    .action(measure)
  program
    .command('report')
    .description('render what cold-start has left in a folder')
    .argument('<folder>')
    .action(report)
}

async function measure(words: readonly string[], options: Options): Promise<void> {
  const known: readonly Named[] = [...WORKLOADS, ...CONTENDERS, ...NETWORKS]
  const asked = [
    ...words,
    ...[options.images, options.contenders, options.networks].flatMap((list) => list ?? []),
  ]
  const unknown = asked.filter((word) => known.every(({ name }) => name !== word))
  if (unknown.length > 0) throw new InvalidArgumentError(`no such word: ${unknown.join(', ')}`)
  const seed = options.seed ?? 1 + Math.floor(Math.random() * 0xffff_fffe)
  const folder = options.out ?? mkdtempSync(join(tmpdir(), 'cold-start-'))
  const results = ResultFile.open(folder)
  const { available, skipped } = await availableOf(chosen(CONTENDERS, words, options.contenders))
  const networks = chosen(NETWORKS, words, options.networks)
  results.append({
    kind: 'conditions',
    conditions: {
      command: `${['bench/run', ...process.argv.slice(2)].join(' ')} --seed ${seed}`,
      machine: await machineLine(),
      date: new Date().toISOString(),
      networks,
      skipped,
    },
  })
  for (const { contender, reason } of skipped) console.error(`${contender} is skipped: ${reason}`)
  const failures = await runColdStarts(
    {
      workloads: chosen(WORKLOADS, words, options.images),
      contenders: available,
      networks,
      runs: options.runs,
      seed,
    },
    { results, progress: progressLine },
  )
  for (const failure of failures) console.error(failure)
  if (failures.length > 0) process.exitCode = 1
  await report(folder)
}

/** Prints the tables and claims, and writes the report into the folder of the results. */
async function report(folder: string): Promise<void> {
  const result = ResultFile.open(folder).read()
  await writeReport(result, folder)
  console.log(markdownOf(result))
  const claims = claimsOf(result)
  for (const claim of claims) console.log(textOfClaim(claim))
  console.error(`every start is in ${folder}, with report.html`)
  if (!claims.every(isMet)) process.exitCode = 1
}

/** The things that `words` or `option` name, or all of them if neither names any. */
function chosen<T extends Named>(
  all: readonly T[],
  words: readonly string[],
  option: readonly string[] | undefined,
): readonly T[] {
  const names = [...words, ...(option ?? [])]
  const some = all.filter(({ name }) => names.includes(name))
  return some.length === 0 ? all : some
}

async function availableOf(contenders: readonly Contender[]): Promise<{
  available: readonly Contender[]
  skipped: readonly { contender: string; reason: string }[]
}> {
  const available: Contender[] = []
  const skipped: { contender: string; reason: string }[] = []
  for (const contender of contenders) {
    const reason = await contender.unavailable()
    if (reason === undefined) available.push(contender)
    else skipped.push({ contender: contender.name, reason })
  }
  return { available, skipped }
}

function wordsOf(): string {
  const line = (title: string, list: readonly Named[]): string =>
    `  ${title.padEnd(12)} ${list.map(({ name }) => name).join(', ')}`
  return [
    '\nWords:',
    line('images', WORKLOADS),
    line('contenders', CONTENDERS),
    line('networks', NETWORKS),
  ].join('\n')
}

function commaSeparated(text: string): readonly string[] {
  return text.split(',')
}
