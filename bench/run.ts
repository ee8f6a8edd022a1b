/** The instrument: `bench/run [words] [--runs N] [--json]`. Reports go to standard output. */
import { Command, InvalidArgumentError } from 'commander'
import type { Benchmark } from './benchmark.js'
import { coldStartBenchmark } from './cold-start.bench.js'
import { convertBenchmark, convertLargeBenchmark } from './convert.bench.js'
import { machineLine } from './machine-line.js'
import { metadataBenchmark } from './metadata.bench.js'
import { millionFilesBenchmark } from './million-files.bench.js'
import { readingBenchmark } from './reading.bench.js'
import { type Report, isMet, textOf } from './report.js'
import { smallFilesBenchmark } from './small-files.bench.js'

const BENCHMARKS: readonly Benchmark[] = [
  coldStartBenchmark,
  convertBenchmark,
  convertLargeBenchmark,
  metadataBenchmark,
  millionFilesBenchmark,
  readingBenchmark,
  smallFilesBenchmark,
]

interface Options {
  readonly runs: number
  readonly json?: true
}

const words = BENCHMARKS.map(({ name, description }) => `  ${name.padEnd(14)} ${description}`)

await new Command('bench/run')
  .argument('[words...]', 'what to measure; default everything')
  .option('--runs <n>', 'measurements of each contender', wholeNumber, 5)
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
      const progress = (line: string): void => {
        console.error(line)
      }
      for (const report of await run({ runs, progress })) {
        reports.push(report)
        if (json !== true) console.log(textOf(report))
      }
    }
    if (json === true) console.log(JSON.stringify({ command, machine, reports }, null, 2))
    if (reports.some(({ claims }) => !claims.every(isMet))) process.exitCode = 1
  })
  .parseAsync()

function wholeNumber(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= 1) return value
  throw new InvalidArgumentError('It must be a whole number from 1.')
}
