/** The figures of a benchmark, computed from its single starts, even if some starts are missing. */
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
  /** Each is a median of its own, so they need not add up to the median of the total. */
  readonly pullMs: number
  readonly createMs: number
  readonly runMs: number
  readonly requests: number
  readonly requestsWhileRunning: number
  readonly receivedBytes: number
}

/**
 * Known contenders come in this order, and others after them. Ours come last, after those that they
 * are measured against.
 */
const ORDER = ['overlayfs', 'stargz', 'nydus', 'soci', 'thin', 'thin-profile']

export class Figures {
  /** The networks over which there was any start. */
  readonly networks: readonly Network[]
  readonly workloads: readonly string[]
  readonly contenders: readonly string[]
  /** The largest number of runs of a cell. A complete benchmark has this number in every cell. */
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

  /**
   * The median total. `floor` counts as a contender here. Undefined if there was no measurement.
   */
  totalMs(network: string, workload: string, contender: string): number | undefined {
    if (contender === 'floor') return this.floor(network, workload)?.totalMs
    return this.cell(network, workload, contender)?.totalMs.median
  }

  /**
   * The total of `over` divided by the total of `under`. Undefined if one of them was not measured.
   */
  ratio(
    network: string,
    workload: string,
    [over, under]: readonly [string, string],
  ): number | undefined {
    const above = this.totalMs(network, workload, over)
    const below = this.totalMs(network, workload, under)
    return above === undefined || below === undefined ? undefined : above / below
  }

  /** The geometric mean of the ratio over the workloads that have it. */
  meanRatio(network: string, pair: readonly [string, string]): number | undefined {
    return geometricMeanOf(
      this.workloads.flatMap((workload) => this.ratio(network, workload, pair) ?? []),
    )
  }

  /** The workloads that each of these contenders has started over each of these networks. */
  common(networks: readonly string[], contenders: readonly string[]): readonly string[] {
    return this.workloads.filter((workload) =>
      networks.every((network) =>
        contenders.every((name) => this.totalMs(network, workload, name) !== undefined),
      ),
    )
  }

  /** The measurements that an interrupted benchmark lacks, as text. Empty if it is complete. */
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

/** A network as text, such as `10 ms, 100 Mbit/s`. */
export function networkText({ name, roundTripMs, bitsPerSecond }: Network): string {
  if (bitsPerSecond === undefined) return roundTripMs === 0 ? name : `${roundTripMs} ms`
  const megabits = bitsPerSecond / 1e6
  const speed = megabits >= 1000 ? `${megabits / 1000} Gbit/s` : `${megabits} Mbit/s`
  return `${roundTripMs} ms, ${speed}`
}
