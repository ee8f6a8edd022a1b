/**
 * The command line of the benchmarks: `bench/run cold-start …`, and `bench/run [words] [--runs N]
 * [--json]` for all others.
 */
import { Command, InvalidArgumentError } from 'commander'
import type { Benchmark } from './benchmark.js'
import { addColdStartCommands } from './cold-start/cold-start-command.js'
import { convertBenchmark, convertLargeBenchmark } from './convert.bench.js'
import { imagesBenchmark } from './images.bench.js'
import { machineLine } from './machine-line.js'
import { memoryBenchmark } from './memory.bench.js'
import { metadataBenchmark } from './metadata.bench.js'
import { millionFilesBenchmark } from './million-files.bench.js'
import { readingBenchmark } from './reading.bench.js'
import { type Report, isMet, textOf } from './report.js'
import { progressLine } from './progress-line.js'
import { releasesBenchmark } from './releases.bench.js'
import { sizeBenchmark } from './size.bench.js'
import { smallFilesBenchmark } from './small-files.bench.js'
import { warmStartBenchmark } from './warm-start.bench.js'
import { wholeNumberBetween } from '../snapshotter/cli/option-values.js'

const BENCHMARKS: readonly Benchmark[] = [
  convertBenchmark,
  convertLargeBenchmark,
  memoryBenchmark,
  imagesBenchmark,
  metadataBenchmark,
  millionFilesBenchmark,
  releasesBenchmark,
  sizeBenchmark,
  readingBenchmark,
  smallFilesBenchmark,
  warmStartBenchmark,
]

interface Options {
  readonly runs: number
  readonly json?: true
}

const words = BENCHMARKS.map(({ name, description }) => `  ${name.padEnd(14)} ${description}`)

const program = new Command('bench/run')
// The subcommands have options of the same names.
program.enablePositionalOptions()
addColdStartCommands(program)
await program
  .argument('[words...]', 'what to measure; default all of these words')
  .option('--runs <n>', 'measurements of each contender', wholeNumberBetween(1, 1000), 5)
  .option('--json', 'every single measurement, for scripts')
  .addHelpText('after', `\nWords:\n${words.join('\n')}`)
  .action(async (chosen: string[], { runs, json }: Options) => {
    const unknown = chosen.filter((word) => BENCHMARKS.every(({ name }) => name !== word))
    if (unknown.length > 0) throw new InvalidArgumentError(`no such word: ${unknown.join(', ')}`)
    const machine = await machineLine()
    const command = ['bench/run', ...process.argv.slice(2)].join(' ')
    const reports: Report[] = []
    if (json !== true) console.log(`${command}\n${machine}\n`)
    for (const { name, run } of BENCHMARKS) {
      if (chosen.length > 0 && !chosen.includes(name)) continue
      for (const report of await run({ runs, progress: progressLine })) {
        reports.push(report)
        if (json !== true) console.log(textOf(report))
      }
    }
    if (json === true) console.log(JSON.stringify({ command, machine, reports }, null, 2))
    if (reports.some(({ claims }) => !claims.every(isMet))) process.exitCode = 1
  })
  .parseAsync()
