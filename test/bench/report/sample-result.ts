/** Made-up results of benchmarks. The figures follow a rule and are the same every time. */
import type {
  ColdStartResult,
  FloorRecord,
  Network,
  StartRecord,
} from '../../../bench/cold-start/start-record.js'

export const LOOPBACK: Network = { name: 'loopback', roundTripMs: 0, bitsPerSecond: undefined }
export const FAR: Network = { name: '10ms', roundTripMs: 10, bitsPerSecond: 100e6 }

export const NETWORKS: readonly Network[] = [
  LOOPBACK,
  { name: '1ms', roundTripMs: 1, bitsPerSecond: 1e9 },
  FAR,
  { name: '50ms', roundTripMs: 50, bitsPerSecond: 25e6 },
]

/** By workload: compressed megabytes of the image, and seconds that its program needs by itself. */
const WORKLOADS: Readonly<Record<string, readonly [number, number]>> = {
  echo: [2, 0.05],
  python: [24, 0.1],
  perl: [21, 0.07],
  ruby: [30, 0.15],
  node: [62, 0.25],
  nginx: [35, 0.12],
  apache: [40, 0.2],
  redis: [26, 0.1],
  postgresql: [95, 1.4],
  mariadb: [120, 2.2],
  openjdk: [210, 2.6],
  gcc: [150, 0.8],
  golang: [240, 3.5],
  php: [48, 0.1],
  texlive: [980, 1.8],
}

/**
 * By contender: share of the image that is pulled, and number of requests that the program waits
 * for.
 */
const CONTENDERS: Readonly<Record<string, readonly [number, number]>> = {
  overlayfs: [1, 0],
  stargz: [0.25, 90],
  nydus: [0.2, 70],
  soci: [0.3, 120],
  thin: [0.15, 40],
  'thin-profile': [0.08, 0],
}

export function startOf(given: Partial<StartRecord>): StartRecord {
  const { pullMs = 400, createMs = 50, runMs = 150 } = given
  return {
    workload: 'python',
    contender: 'thin',
    network: 'loopback',
    run: 1,
    pullMs,
    createMs,
    runMs,
    totalMs: pullMs + createMs + runMs,
    requests: 12,
    receivedBytes: 2_500_000,
    requestsWhileRunning: 3,
    cpuSeconds: { containerd: 0.25 },
    peakRssBytes: { containerd: 64 * 2 ** 20 },
    ...given,
  }
}

export function resultOf(given: Partial<ColdStartResult>): ColdStartResult {
  return {
    command: 'bench/run cold-start',
    machine: '2 × some processor',
    date: '2026-01-02T03:04:05.000Z',
    networks: [LOOPBACK],
    skipped: [],
    starts: [],
    floors: [],
    ...given,
  }
}

/** A result with as many workloads, contenders and networks as real reports have. */
export function largeResult(runs = 5): ColdStartResult {
  const starts: StartRecord[] = []
  const floors: FloorRecord[] = []
  for (const network of NETWORKS) {
    for (const [workload, [megabytes, ownSeconds]] of Object.entries(WORKLOADS)) {
      const transferMs = (bytes: number, trips: number): number =>
        (bytes * 8000) / (network.bitsPerSecond ?? 8e9) + trips * network.roundTripMs
      const touchedBytes = megabytes * 0.07 * 1e6
      const warmMs = ownSeconds * 1000 + 90
      const totalMs = warmMs + transferMs(touchedBytes, 5)
      floors.push({
        workload,
        network: network.name,
        warmMs,
        touchedBytes,
        roundTrips: 5,
        totalMs,
      })
      for (const [contender, [share, waits]] of Object.entries(CONTENDERS)) {
        for (let run = 1; run <= runs; run++) {
          const receivedBytes = megabytes * share * 1e6
          const unpackMs = contender === 'overlayfs' ? megabytes * 16 : 60
          const slower = 1 + 0.04 * ((run * 3) % 5)
          const early = contender === 'overlayfs' || contender === 'thin-profile' ? 0.9 : 0.1
          const start = startOf({
            workload,
            contender,
            network: network.name,
            run,
            pullMs: (140 + unpackMs + transferMs(receivedBytes * early, 6)) * slower,
            createMs: 55 * slower,
            runMs: (ownSeconds * 1000 + transferMs(receivedBytes * (1 - early), waits)) * slower,
            requests: 6 + waits,
            requestsWhileRunning: waits,
            receivedBytes,
            cpuSeconds: { containerd: 0.2 + megabytes / 100, [`${contender}d`]: 0.4 },
            peakRssBytes: { containerd: 70 * 2 ** 20, [`${contender}d`]: 90 * 2 ** 20 },
          })
          starts.push(start)
        }
      }
    }
  }
  const skipped = [{ contender: 'estargz-fork', reason: 'ctr-remote is not on the PATH' }]
  return resultOf({
    command: 'bench/run cold-start --runs 5',
    machine:
      '2 × Some Processor @ 2.0 GHz, 8 GiB, Linux 6.18.0, Debian 12, Node.js 20.20.2, containerd 1.6.20',
    networks: NETWORKS,
    skipped,
    starts,
    floors,
  })
}
