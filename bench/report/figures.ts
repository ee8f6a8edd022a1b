/** The figures of a benchmark: what its single starts say together, whatever of them is there. */
import type {
  ColdStartResult,
  FloorRecord,
  Network,
  StartRecord,
} from '../cold-start/start-record.js'
import { type Summary, geometricMeanOf, medianOf, summaryOf } from '../statistics.js'

/** All starts of one workload by one contender over one network. */
export interface Cell {
  readonly starts: readonly StartRecord[]
  readonly totalMs: Summary
  /** Medians, each of its own: they need not add up to that of the total. */
  readonly pullMs: number
  readonly createMs: number
  readonly runMs: number
  readonly requests: number
  readonly requestsWhileRunning: number
  readonly receivedBytes: number
}

/** Known contenders come in this order, others after them: what it is measured against first, then what is ours. */
const ORDER = ['overlayfs', 'stargz', 'nydus', 'soci', 'thin', 'thin-profile']

export class Figures {
  /** The networks over which anything was started. */
  readonly networks: readonly Network[]
  readonly workloads: readonly string[]
  readonly contenders: readonly string[]
  /** The most runs that a cell has: what the others should have. */
  readonly runs: number
  readonly #cells = new Map<string, Cell>()
  readonly #floors = new Map<string, FloorRecord>()

  constructor({ starts, floors, networks }: ColdStartResult) {
    const groups = new Map<string, StartRecord[]>()
    for (const start of starts) {
      const key = keyOf(start.network, start.workload, start.contender)
      const group = groups.get(key)
      if (group === undefined) groups.set(key, [start])
      else group.push(start)
    }
    for (const [key, group] of groups) this.#cells.set(key, cellOf(group))
    for (const floor of floors) this.#floors.set(keyOf(floor.network, floor.workload), floor)
    this.networks = networks.filter(({ name }) => starts.some(({ network }) => network === name))
    this.workloads = [...new Set(starts.map(({ workload }) => workload))].sort()
    this.contenders = [...new Set(starts.map(({ contender }) => contender))].sort(
      (a, b) => rankOf(a) - rankOf(b) || (a < b ? -1 : 1),
    )
    this.runs = Math.max(0, ...[...groups.values()].map((group) => group.length))
  }

  cell(network: string, workload: string, contender: string): Cell | undefined {
    return this.#cells.get(keyOf(network, workload, contender))
  }

  floor(network: string, workload: string): FloorRecord | undefined {
    return this.#floors.get(keyOf(network, workload))
  }

  /** The median total; `floor` is a contender here. Undefined where it was not measured. */
  totalMs(network: string, workload: string, contender: string): number | undefined {
    if (contender === 'floor') return this.floor(network, workload)?.totalMs
    return this.cell(network, workload, contender)?.totalMs.median
  }

  /** How many times longer the one takes than the other. Undefined where either was not measured. */
  ratio(
    network: string,
    workload: string,
    [over, under]: readonly [string, string],
  ): number | undefined {
    const above = this.totalMs(network, workload, over)
    const below = this.totalMs(network, workload, under)
    return above === undefined || below === undefined ? undefined : above / below
  }

  /** Over the workloads that have this ratio. */
  meanRatio(network: string, pair: readonly [string, string]): number | undefined {
    return geometricMeanOf(
      this.workloads.flatMap((workload) => this.ratio(network, workload, pair) ?? []),
    )
  }

  /** The workloads that all these contenders have started over all these networks. */
  common(networks: readonly string[], contenders: readonly string[]): readonly string[] {
    return this.workloads.filter((workload) =>
      networks.every((network) =>
        contenders.every((name) => this.totalMs(network, workload, name) !== undefined),
      ),
    )
  }

  /** What an interrupted benchmark has not measured, for a person; empty when it is complete. */
  missing(): readonly string[] {
    return this.networks.flatMap(({ name }) =>
      this.workloads.flatMap((workload) =>
        this.contenders.flatMap((contender) => {
          const count = this.cell(name, workload, contender)?.starts.length ?? 0
          const text = `${workload} by ${contender} over ${name}: ${count} of ${this.runs}`
          return count < this.runs ? [text] : []
        }),
      ),
    )
  }
}

function cellOf(starts: readonly StartRecord[]): Cell {
  const median = (pick: (start: StartRecord) => number): number => medianOf(starts.map(pick))
  return {
    starts,
    totalMs: summaryOf(starts.map(({ totalMs }) => totalMs)),
    pullMs: median(({ pullMs }) => pullMs),
    createMs: median(({ createMs }) => createMs),
    runMs: median(({ runMs }) => runMs),
    requests: median(({ requests }) => requests),
    requestsWhileRunning: median(({ requestsWhileRunning }) => requestsWhileRunning),
    receivedBytes: median(({ receivedBytes }) => receivedBytes),
  }
}

function keyOf(...names: readonly string[]): string {
  return JSON.stringify(names)
}

function rankOf(contender: string): number {
  const rank = ORDER.indexOf(contender)
  return rank === -1 ? ORDER.length : rank
}

/** `10 ms, 100 Mbit/s`. */
export function networkText({ name, roundTripMs, bitsPerSecond }: Network): string {
  if (bitsPerSecond === undefined) return roundTripMs === 0 ? name : `${roundTripMs} ms`
  const megabits = bitsPerSecond / 1e6
  const speed = megabits >= 1000 ? `${megabits / 1000} Gbit/s` : `${megabits} Mbit/s`
  return `${roundTripMs} ms, ${speed}`
}
