/** Another way to get a container started from a registry. One file each, all with this interface. */
import type { Containerd } from '../../test/sandbox/containerd.js'
import type { Sandbox } from '../../test/sandbox/sandbox.js'
import type { Workload } from '../workloads/workload.js'

/** An image in the private registry, in the form that a contender pulls. */
export interface PublishedImage {
  /** To be pulled through the sandbox's proxy. */
  readonly reference: string
  /** Compressed size of what a start reads, where publishing it has found that out. */
  readonly startupBytes?: number
}

/** A machine that has seen no image, with the contender's programs running. */
export interface ContenderMachine {
  readonly containerd: Containerd
  /** As containerd calls it. */
  readonly snapshotter: string
  /** Everything after the name of the program `puller`, to pull the image and have it unpacked. */
  readonly pullArguments: (reference: string) => readonly string[]
  /** `ctr` with containerd's address already given, or a program of the contender's that does the same. */
  readonly puller: readonly string[]
  /** Processes that work for the contender, by the name they have in reports; containerd's are added. */
  readonly processes: () => Readonly<Record<string, number>>
  /** Ends everything and leaves nothing behind. Idempotent. */
  readonly close: () => Promise<void>
}

export interface Contender {
  /** A word of the command line, a row of the tables. */
  readonly name: string
  /** Why it cannot be measured here, for a person; undefined where it can. */
  readonly unavailable: () => Promise<string | undefined>
  /**
   * Publishes the image in this contender's form, with its own tools. `ordinary` is the image as
   * built, in the registry of the sandbox. Not timed.
   */
  readonly publish: (
    sandbox: Sandbox,
    workload: Workload,
    ordinary: string,
  ) => Promise<PublishedImage>
  readonly startMachine: (sandbox: Sandbox) => Promise<ContenderMachine>
}
