/** One way to start a container from a registry. Each contender is one file with this interface. */
import type { Containerd } from '../../test/sandbox/containerd.js'
import type { Sandbox } from '../../test/sandbox/sandbox.js'
import type { Workload } from '../workloads/workload.js'

/** An image in the private registry, in the form in which a contender pulls it. */
export interface PublishedImage {
  /** Reference through the sandbox's proxy. */
  readonly reference: string
  /** Compressed size of the bytes that a start reads, if publishing has measured it. */
  readonly startupBytes?: number
}

/** A machine that has seen no image, with the contender's programs running. */
export interface ContenderMachine {
  readonly containerd: Containerd
  /** Name of the snapshotter in containerd. */
  readonly snapshotter: string
  /** The arguments of `puller` that pull the image and unpack it. */
  readonly pullArguments: (reference: string) => readonly string[]
  /**
   * The command that pulls: `ctr` with containerd's address, or the contender's own equivalent
   * program.
   */
  readonly puller: readonly string[]
  /**
   * PIDs of the contender's processes, by their names in reports. containerd's own process is added
   * by the caller.
   */
  readonly processes: () => Readonly<Record<string, number>>
  /** Ends all programs and removes all files and mounts. Idempotent. */
  readonly close: () => Promise<void>
}

export interface Contender {
  /** Name on the command line and in the tables. */
  readonly name: string
  /**
   * Returns the reason, for a person, why this contender cannot be measured here, or undefined if
   * it can.
   */
  readonly unavailable: () => Promise<string | undefined>
  /**
   * Publishes the image in this contender's form, with its own tools. `ordinary` is the reference
   * of the original image in the sandbox's registry. The time is not measured.
   */
  readonly publish: (
    sandbox: Sandbox,
    workload: Workload,
    ordinary: string,
  ) => Promise<PublishedImage>
  readonly startMachine: (sandbox: Sandbox) => Promise<ContenderMachine>
}
