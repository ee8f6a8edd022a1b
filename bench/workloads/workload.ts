/**
 * The workload of a cold start: an image, the program that runs in it, and the sign that the
 * program is ready. The tasks are those of HelloBench (Harter et al., FAST 2016).
 */
import type { ImageCache } from '../../test/sandbox/images/image-cache.js'

/**
 * The sign that a program is ready: its end with status 0, a printed line, or an answer with status
 * 200.
 */
export type Readiness =
  | { readonly kind: 'exit' }
  | { readonly kind: 'line'; readonly text: string }
  | { readonly kind: 'http'; readonly url: string }

export interface Workload {
  /** Name on the command line and in the tables. */
  readonly name: string
  /** Builds the image if the cache does not have it. Returns `layout:tag`. */
  readonly image: (cache: ImageCache) => Promise<string>
  readonly command: readonly string[]
  /** Environment variables as `NAME=VALUE`. */
  readonly env: readonly string[]
  /** Files that are mounted read-only at /src: text by name. */
  readonly sources: Readonly<Record<string, string>>
  /**
   * Whether the container uses the machine's network, to serve on a port of the loopback interface.
   */
  readonly hostNetwork: boolean
  readonly ready: Readiness
}
