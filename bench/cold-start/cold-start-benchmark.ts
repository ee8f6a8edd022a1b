/**
 * Measures cold starts of all chosen workloads by all chosen contenders over all chosen networks.
 */
import { coldStart } from './cold-start.js'
import { floorOf, warmStartMs } from './floor.js'
import type { ResultFile } from './result-file.js'
import { randomFrom, shuffled } from './shuffled.js'
import type { Network } from './start-record.js'
import type { Contender, PublishedImage } from '../contenders/contender.js'
import { optimizedImage } from '../contenders/thin-profile.js'
import { withSandbox } from '../with-sandbox.js'
import type { Workload } from '../workloads/workload.js'
import { ImageCache } from '../../test/sandbox/images/image-cache.js'
import type { Sandbox } from '../../test/sandbox/sandbox.js'

export interface ColdStartPlan {
  readonly workloads: readonly Workload[]
  /** All of these must be available on this machine. */
  readonly contenders: readonly Contender[]
  readonly networks: readonly Network[]
  /** Number of starts of each contender, workload and network. */
  readonly runs: number
  /** Determines the order of the contenders in each round. */
  readonly seed: number
}

export interface ColdStartModules {
  readonly results: ResultFile
  /** Reports progress to a person. */
  readonly progress: (line: string) => void
}

/**
 * Appends every start to the results as soon as it ends. If a workload fails, or a contender fails
 * with a workload, the failure is reported and the others continue. Returns the failures.
 */
export async function runColdStarts(
  plan: ColdStartPlan,
  modules: ColdStartModules,
): Promise<readonly Error[]> {
  const random = randomFrom(plan.seed)
  const failures: Error[] = []
  const cache = await ImageCache.open()
  for (const workload of plan.workloads) {
    const { progress } = modules
    const say = (line: string): void => {
      progress(`${workload.name}: ${line}`)
    }
    try {
      say('building the image, if it is not there')
      const built = await workload.image(cache)
      // Each workload has its own sandbox, so that no registry holds the images of all workloads.
      await withSandbox(async (sandbox) => {
        const measurement = { ...plan, workload, random }
        failures.push(
          ...(await measure(sandbox, built, measurement, { ...modules, progress: say })),
        )
      })
    } catch (error) {
      const failure = new Error(`${workload.name}: ${String(error)}`, { cause: error })
      progress(failure.message)
      failures.push(failure)
    }
  }
  return failures
}

interface Measurement extends ColdStartPlan {
  readonly workload: Workload
  readonly random: () => number
}

async function measure(
  sandbox: Sandbox,
  built: string,
  plan: Measurement,
  modules: ColdStartModules,
): Promise<readonly Error[]> {
  const { workload, contenders, networks, runs, random } = plan
  const { results, progress } = modules
  const ordinary = await sandbox.push(built, `${workload.name}:1`)
  const published = new Map<Contender, PublishedImage>()
  const failures: Error[] = []
  const drop = (contender: Contender, cause: unknown): void => {
    const message = `${workload.name} with ${contender.name}: ${String(cause)}`
    progress(message)
    failures.push(new Error(message, { cause }))
    published.delete(contender)
  }
  for (const contender of contenders) {
    progress(`publishing for ${contender.name}`)
    try {
      published.set(contender, await contender.publish(sandbox, workload, ordinary))
    } catch (error) {
      drop(contender, error)
    }
  }
  progress('measuring the floor')
  const known = [...published.values()].find(({ startupBytes }) => startupBytes !== undefined)
  const { startupBytes = 0 } = known ?? (await optimizedImage(sandbox, workload, ordinary))
  const warmMs = await warmStartMs(sandbox, workload, { reference: ordinary, runs })
  const outputs = new Map<string, string>()
  for (const network of networks) {
    const floor = floorOf({ workload: workload.name, network, warmMs, touchedBytes: startupBytes })
    results.append({ kind: 'floor', floor })
    for (let run = 1; run <= runs; run++) {
      for (const contender of shuffled([...published.keys()], random)) {
        const { reference } = published.get(contender) ?? { reference: ordinary }
        try {
          const options = { workload, contender, reference, network, run }
          const { record: start, output } = await coldStart(sandbox, options)
          outputs.set(output, contender.name)
          assertSame(outputs)
          results.append({ kind: 'start', start })
          const seconds = (start.totalMs / 1000).toFixed(2)
          const name = `${network.name}, run ${run} of ${runs}, ${contender.name}`
          progress(`${name}: ready after ${seconds} s, ${start.requests} requests`)
        } catch (error) {
          drop(contender, error)
        }
      }
    }
  }
  return failures
}

/** A start counts only if its program printed the same as those of all other starts. */
function assertSame(outputs: ReadonlyMap<string, string>): void {
  if (outputs.size <= 1) return
  const said = [...outputs].map(([output, name]) => `${name}: ${output.slice(0, 500)}`)
  throw new Error(`the containers did not print the same:\n${said.join('\n')}`)
}
