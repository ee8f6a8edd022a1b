/** The figures of a cold start that the project promises, as far as they were measured. */
import type { ColdStartResult } from './start-record.js'
import type { Claim } from '../report.js'
import { Figures } from '../report/figures.js'
import { geometricMeanOf } from '../statistics.js'

/** The network for which the claims are made. */
const JUDGED = '10ms'

export function claimsOf(result: ColdStartResult): Claim[] {
  const figures = new Figures(result)
  const cells = figures.workloads.flatMap((workload) => {
    const cell = figures.cell(JUDGED, workload, 'thin-profile')
    const floor = figures.floor(JUDGED, workload)
    return cell === undefined ? [] : [{ cell, floor }]
  })
  const faster = figures.meanRatio(JUDGED, ['overlayfs', 'thin-profile'])
  const aboveFloor = figures.meanRatio(JUDGED, ['thin-profile', 'floor'])
  const slowest = figures.workloads.flatMap(
    (workload) => figures.ratio(JUDGED, workload, ['thin', 'overlayfs']) ?? [],
  )
  const bytes = geometricMeanOf(
    cells.flatMap(({ cell, floor }) =>
      floor === undefined ? [] : [cell.receivedBytes / floor.touchedBytes],
    ),
  )
  const echoMs = figures.totalMs('loopback', 'echo', 'thin')
  return [
    claim('overlayfs ÷ thin with profile, 10 ms, geometric mean', faster, 'at least', 10),
    claim('thin with profile ÷ floor, 10 ms, geometric mean', aboveFloor, 'at most', 1.3),
    claim('thin ÷ overlayfs, 10 ms, the worst image', most(slowest), 'at most', 1),
    claim(
      'requests until ready with profile, the most of all images',
      most(cells.map(({ cell }) => cell.requests)),
      'at most',
      8,
    ),
    claim('bytes until ready ÷ bytes touched, geometric mean', bytes, 'at most', 1.2),
    claim(
      'thin echo on loopback, s',
      echoMs === undefined ? undefined : echoMs / 1000,
      'at most',
      0.45,
    ),
  ].flat()
}

/** Returns no claim if `value` was not measured. */
function claim(
  text: string,
  value: number | undefined,
  relation: Claim['relation'],
  limit: number,
): Claim[] {
  return value === undefined ? [] : [{ text, value, relation, limit }]
}

function most(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : Math.max(...values)
}
