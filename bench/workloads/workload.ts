/**
 * What a cold start is measured with: an image, the program that is run in it, and what tells that
 * it is ready. The tasks are HelloBench's (Harter et al., FAST 2016).
 */
import type { ImageCache } from '../../test/sandbox/images/image-cache.js'

/** What is waited for: the end with status 0, a printed line, or an answer with status 200. */
export type Readiness =
  | { readonly kind: 'exit' }
  | { readonly kind: 'line'; readonly text: string }
  | { readonly kind: 'http'; readonly url: string }

export interface Workload {
  /** A word of the command line, a row of the tables. */
  readonly name: string
  /** Builds the image where it is not there yet; returns `layout:tag`. */
  readonly image: (cache: ImageCache) => Promise<string>
  readonly command: readonly string[]
  /** `NAME=VALUE`. */
  readonly env: readonly string[]
  /** Files that are mounted read-only at /src: name to text. */
  readonly sources: Readonly<Record<string, string>>
  /** The container uses the network of the machine: it serves on a port of the loopback. */
  readonly hostNetwork: boolean
  readonly ready: Readiness
}
